/** What librdkafka's package has no call for: it goes over connections of the other client, opened for the moment. */
import type { ClientSettings } from "../client.ts";
import { kafkaFailure, needsRefresh } from "../failure.ts";
import { describeTopics } from "../pure/admin.ts";
import { openCluster } from "../pure/cluster.ts";
import type { Cluster } from "../pure/cluster.ts";
import { groupCodes, leaveGroup } from "../pure/group-protocol.ts";

/** Settings of topics, as far as they were asked for. */
export function topicConfigs(
  settings: ClientSettings,
  names: readonly string[],
  keys: readonly string[],
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  return overOther(settings, (cluster) => describeTopics(cluster, names, keys));
}

/** Takes the member with the instance id out of the group: librdkafka lets one with an instance id only wait until its session is over. */
export function leaveAs(settings: ClientSettings, group: string, instanceId: string): Promise<void> {
  const what = `leave group "${group}"`;
  return overOther(settings, (cluster) =>
    cluster.retry(what, async () => {
      const coordinator = await cluster.coordinator("group", group);
      const who = { group, memberId: "", instanceId, generationId: -1 };
      const code = await cluster.request("control", coordinator, (connection) => leaveGroup(connection, who), { what });
      if (code === groupCodes.NONE || code === groupCodes.UNKNOWN_MEMBER_ID) return;
      const failure = kafkaFailure(code, what);
      if (needsRefresh(failure)) cluster.forgetCoordinator("group", group);
      throw failure;
    }));
}

async function overOther<T>(settings: ClientSettings, use: (cluster: Cluster) => Promise<T>): Promise<T> {
  const cluster = await openCluster(settings);
  try {
    return await use(cluster);
  } finally {
    await cluster.close();
  }
}
