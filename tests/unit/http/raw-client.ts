/** Bytes over a socket, for requests that no client would send. */
import { connect } from "node:net";

/** What came back. */
export interface RawAnswer {
  /** Of each answer on the connection. */
  readonly statuses: readonly number[];
  readonly text: string;
}

/** Sends the parts one after the other, as text, and gives what came back until `until` holds or the server has closed. */
export function exchange(port: number, parts: readonly string[], until: (answer: RawAnswer) => boolean = ({ statuses }) => statuses.length > 0): Promise<RawAnswer> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    const answer = (): RawAnswer => ({ text, statuses: [...text.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map((match) => Number(match[1])) });
    const finish = (): void => {
      socket.destroy();
      resolve(answer());
    };
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += String(chunk);
      if (until(answer())) finish();
    });
    // A server that refuses may close while the rest is still being written.
    socket.on("error", finish);
    socket.on("close", finish);
    socket.on("connect", () => {
      for (const part of parts) socket.write(part, "latin1");
    });
  });
}
