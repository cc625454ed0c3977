/** What a commit has to say of a group member, so that the coordinator can tell whether it still is one. */
import type { GroupMember } from "../client.ts";

/** A member as this client's groups make it. */
export interface PureMember extends GroupMember, CommitIdentity {}

/** In whose name a commit is made. It is taken when the commit begins: one that waits while the member loses its partitions and gets others must not speak in the name of those. */
export interface CommitIdentity {
  readonly group: string;
  readonly memberId: string;
  /** The generation of the group the member joined last. */
  readonly generationId: number;
  /** `group.instance.id` of a static member; null: none. */
  readonly instanceId: string | null;
}

/** The identity as of now. */
export function identityOf(member: GroupMember): CommitIdentity {
  const { group, memberId, generationId, instanceId } = member as PureMember;
  return { group, memberId, generationId, instanceId };
}
