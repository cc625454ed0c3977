/** Whether a Kafka broker answers requests, and serves: a listening port alone says neither. */
import { connect } from "node:net";

const ANSWER_TIMEOUT_MS = 2_000;
const METADATA = 3;
const METADATA_VERSION = 1;

/** Asks for the brokers that are alive, once. Never rejects. */
export function answersRequests(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    let answer = Buffer.alloc(0);
    const end = (result) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => end(false), ANSWER_TIMEOUT_MS);
    socket.on("error", () => end(false));
    socket.on("close", () => end(false));
    socket.on("connect", () => socket.write(metadataRequest()));
    socket.on("data", (part) => {
      answer = Buffer.concat([answer, part]);
      // Length, correlation, and the number of brokers; one that is not yet admitted is not among them.
      if (answer.length >= 12) end(answer.readInt32BE(8) > 0);
    });
  });
}

/** For no topics: length, api, version, correlation, client id, number of topics. */
function metadataRequest() {
  const request = Buffer.alloc(18);
  request.writeInt32BE(14, 0);
  request.writeInt16BE(METADATA, 4);
  request.writeInt16BE(METADATA_VERSION, 6);
  request.writeInt32BE(1, 8);
  request.writeInt16BE(-1, 12);
  request.writeInt32BE(0, 14);
  return request;
}
