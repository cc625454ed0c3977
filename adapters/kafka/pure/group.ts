/** The groups that a client is a member of. */
import type { AssignmentListener } from "../../../src/log/log.ts";
import { closedFailure } from "../failure.ts";
import type { Cluster } from "./cluster.ts";
import { ClassicMember } from "./classic-member.ts";
import type { PureMember } from "./member.ts";

/** Members of groups. */
export interface Groups {
  /** Resolves once the first `assigned` is done. Rejects with what trying again cannot mend. */
  join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<PureMember>;
  /** Nobody is told anything any more. Who has not left is a member for its coordinator until its session is over. */
  close(): Promise<void>;
}

/** Groups over the connections of a cluster. */
export function openGroups(cluster: Cluster): Groups {
  return new PureGroups(cluster);
}

class PureGroups implements Groups {
  readonly #cluster: Cluster;
  readonly #members = new Map<number, ClassicMember>();
  #isClosed = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  async join(group: string, topics: readonly string[], listener: AssignmentListener): Promise<PureMember> {
    if (this.#isClosed) throw closedFailure(`join group "${group}"`);
    let number = 0;
    while (this.#members.has(number)) number++;
    // A coordinator lets a connection wait while a join does: two members on one would wait for each other.
    const lane = `group-${number}` as const;
    const member = new ClassicMember({ cluster: this.#cluster, lane, instanceId: this.#instanceId(group) }, group, topics, listener);
    this.#members.set(number, member);
    member.ended.finally(() => {
      this.#members.delete(number);
      this.#cluster.release(lane);
    });
    await member.joined;
    return member;
  }

  close(): Promise<void> {
    this.#isClosed = true;
    for (const member of this.#members.values()) member.abandon();
    return Promise.resolve();
  }

  /** Members of one client in one group are told apart: the second is `<id>-2`. */
  #instanceId(group: string): string | null {
    const { instanceId } = this.#cluster.settings;
    if (instanceId === null) return null;
    const taken = new Set([...this.#members.values()].filter((member) => member.group === group).map((member) => member.instanceId));
    let id = instanceId;
    for (let number = 2; taken.has(id); number++) id = `${instanceId}-${number}`;
    return id;
  }
}
