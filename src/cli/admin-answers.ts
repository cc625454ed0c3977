/** What the admin pages answer, as far as commands look at it. */

/** A partition and its task: `GET /admin/control`. */
export interface PartitionState {
  readonly topic: string;
  readonly partition: number;
  /** null: no worker here has it. */
  readonly task: string | null;
  readonly status: string;
  /** Why it is as it is. */
  readonly reason?: string | null;
  /** Of the next record; null: it has committed none. */
  readonly position: number | null;
  readonly end: number | null;
  readonly lag: number | null;
  readonly paused: { readonly since: number; readonly by: string; readonly reason: string | null } | null;
}

/** `GET /admin/control`. */
export interface ControlAnswer {
  readonly partitions: readonly PartitionState[];
}

/** `POST /admin/control/…`. */
export interface ControlledAnswer {
  readonly commands: readonly { readonly topic: string; readonly partition: number | null; readonly id: string | number; readonly to?: number }[];
  /** Whether whoever works has done it. */
  readonly applied: boolean;
}

/** `GET /admin/health`. */
export interface HealthAnswer {
  readonly status: string;
  readonly reason?: string;
}

/** `GET /admin/audit`. */
export interface AuditAnswer {
  readonly entries: readonly AuditLine[];
  /** Where older ones go on; null: there are none. */
  readonly next: string | number | null;
}

/** A change. */
export interface AuditLine {
  readonly at: number;
  readonly by: string;
  readonly action: string;
  readonly [fact: string]: unknown;
}
