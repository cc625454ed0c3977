/** What a commit has to say of a group member, so that the coordinator can tell whether it still is one. */
import type { GroupMember } from "../client.ts";

/** A member as this client's groups make it; read anew for each commit, for it changes with each rebalance. */
export interface PureMember extends GroupMember {
  /** The generation of the group the member joined last. */
  readonly generationId: number;
  /** `group.instance.id` of a static member; null: none. */
  readonly instanceId: string | null;
}
