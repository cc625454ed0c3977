/** What the admin pages answer, as far as commands look at it. */
import type { AuditView } from "../letter/letter-view.ts";
import type { PartitionView } from "../task/control-desk.ts";

/** `GET /admin/control`. */
export interface ControlPage {
  readonly partitions: readonly PartitionView[];
}

/** `GET /admin/health`. */
export interface HealthAnswer {
  readonly status: string;
  readonly reason?: string;
}

/** `GET /admin/audit`. */
export interface AuditPage {
  /** The newest first. */
  readonly entries: readonly AuditView[];
  /** Where older ones go on; null: there are none. */
  readonly next: number | null;
}
