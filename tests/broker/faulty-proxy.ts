/**
 * Stands between a client and the one broker of a cluster, and loses what it is told to: requests on their way there, answers on their way back. The broker's address in answers becomes the
 * proxy's, so that clients stay with it.
 */
import { Buffer } from "node:buffer";
import { connect, createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";

/** What becomes of a frame: goes on, is lost while the connection stays, or is lost with its connection. */
export type Fate = "pass" | "lose" | "cut";

/** A way to a broker that can be disturbed. */
export interface FaultyProxy {
  /** `127.0.0.1:port`. */
  readonly bootstrap: string;
  /** Decides over requests, by the number of their api; `frame` is the whole request, its length in front. */
  request: (api: number, frame: Buffer) => Fate;
  /** Decides over answers, by the number of their request's api. */
  answer: (api: number) => Fate;
  /** How often a request of this kind came. */
  count(api: number): number;
  /** Resolves once so many of this kind have come, from the start. */
  reached(api: number, count: number): Promise<void>;
  close(): Promise<void>;
}

/** Numbers of the protocol's requests. */
export const api = {
  produce: 0,
  metadata: 3,
  joinGroup: 11,
  heartbeat: 12,
  initProducerId: 22,
  addPartitionsToTxn: 24,
  addOffsetsToTxn: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
} as const;

/** Opens a proxy to `host:port` of a broker. */
export async function openProxy(broker: string): Promise<FaultyProxy> {
  const port = Number(broker.slice(broker.lastIndexOf(":") + 1));
  const counts = new Map<number, number>();
  const waiting = new Set<() => void>();
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(port, "127.0.0.1");
    const apis = new Map<number, number>();
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.setNoDelay(true);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    const settle = (fate: Fate, to: Socket, frame: Buffer): void => {
      if (fate === "pass") to.write(frame);
      else if (fate === "cut") client.destroy();
    };
    onFrames(client, (frame) => {
      const key = frame.readInt16BE(4);
      apis.set(frame.readInt32BE(8), key);
      counts.set(key, (counts.get(key) ?? 0) + 1);
      settle(proxy.request(key, frame), upstream, frame);
      for (const check of waiting) check();
    });
    onFrames(upstream, (frame) => {
      const key = apis.get(frame.readInt32BE(4)) ?? -1;
      settle(proxy.answer(key), client, readdressed(frame));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  const own = (server.address() as AddressInfo).port;
  const [theirs, ours] = [port, own].map((number) => Buffer.concat([Buffer.from("127.0.0.1"), int32(number)]));
  const readdressed = (frame: Buffer): Buffer => {
    for (let at = frame.indexOf(theirs!); at >= 0; at = frame.indexOf(theirs!, at + 1)) ours!.copy(frame, at);
    return frame;
  };
  const proxy: FaultyProxy = {
    bootstrap: `127.0.0.1:${own}`,
    request: () => "pass",
    answer: () => "pass",
    count: (key) => counts.get(key) ?? 0,
    reached(key, count) {
      return new Promise((resolve) => {
        const check = (): void => {
          if (proxy.count(key) < count) return;
          waiting.delete(check);
          resolve();
        };
        waiting.add(check);
        check();
      });
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
  return proxy;
}

/** Calls `hear` with each whole frame, its length in front. */
function onFrames(socket: Socket, hear: (frame: Buffer) => void): void {
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const size = 4 + rest.readInt32BE(0);
      hear(Buffer.from(rest.subarray(0, size)));
      rest = rest.subarray(size);
    }
  });
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** A rule that meets the first `times` frames of one kind. */
export function first(times: number, key: number, fate: Fate): (api: number) => Fate {
  let left = times;
  return (found) => found === key && left-- > 0 ? fate : "pass";
}
