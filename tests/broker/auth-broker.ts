/** A broker that wants logins: with and without encryption, besides the open listener. Keys and certificate are made by the JDK's keytool. */
import { spawnSync } from "node:child_process";
import { pbkdf2Sync, randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { alterUserScramCredentialsV0, Connection } from "@platformatic/kafka";
import { ownBroker } from "./broker.ts";
import type { Broker } from "./broker.ts";

/** A broker with a user `ada`, whose password is that. */
export interface AuthBroker {
  readonly broker: Broker;
  /** Wants a login. */
  readonly sasl: string;
  /** Wants a login, and encryption. */
  readonly saslTls: string;
  /** Wants encryption alone. */
  readonly tls: string;
  /** The certificate of its authority, PEM. */
  readonly ca: string;
  readonly username: string;
  readonly password: string;
}

const username = "ada";
const password = "lovelace-1843";
const STORE_PASSWORD = "changeit";

/** Why there can be none here; null when there can. */
export function whyNoKeys(): string | null {
  return spawnSync("keytool", ["-help"]).status === 0 ? null : "keytool is not on the path";
}

/** Starts one; its listeners are added before a restart, for ports are known only then. */
export async function authBroker(): Promise<AuthBroker> {
  const broker = await ownBroker();
  try {
    await addUser(broker.bootstrap);
    const store = join(broker.directory, "keys.p12");
    const keys = ["-keystore", store, "-storepass", STORE_PASSWORD, "-alias", "broker"];
    const names = ["-dname", "CN=millrace-test", "-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c"];
    keytool("-genkeypair", "-keyalg", "RSA", "-keysize", "2048", "-validity", "30", "-storetype", "PKCS12", ...names, ...keys);
    const ca = keytool("-exportcert", "-rfc", ...keys);
    const [sasl, saslTls, tls] = [await freePort(), await freePort(), await freePort()];
    const file = join(broker.directory, "server.properties");
    const more = `SASL://127.0.0.1:${sasl},SASLTLS://127.0.0.1:${saslTls},TLS://127.0.0.1:${tls}`;
    const lines = readFileSync(file, "utf8").split("\n").map((line) => {
      if (/^(advertised\.)?listeners=/.test(line)) return `${line},${more}`;
      return line.startsWith("listener.security.protocol.map=") ? `${line},SASL:SASL_PLAINTEXT,SASLTLS:SASL_SSL,TLS:SSL` : line;
    });
    lines.push("sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512");
    for (const name of ["sasl", "sasltls"]) {
      lines.push(
        `listener.name.${name}.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_${username}="${password}";`,
      );
      for (const hash of ["256", "512"]) {
        lines.push(`listener.name.${name}.scram-sha-${hash}.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;`);
      }
    }
    lines.push(`ssl.keystore.location=${store}`, `ssl.keystore.password=${STORE_PASSWORD}`, "ssl.keystore.type=PKCS12", "");
    writeFileSync(file, lines.join("\n"));
    await broker.restart();
    return { broker, sasl: `127.0.0.1:${sasl}`, saslTls: `127.0.0.1:${saslTls}`, tls: `127.0.0.1:${tls}`, ca, username, password };
  } catch (error) {
    await broker.remove();
    throw error;
  }
}

async function addUser(bootstrap: string): Promise<void> {
  const connection = new Connection("test");
  try {
    await connection.connect("127.0.0.1", Number(bootstrap.split(":")[1]));
    const iterations = 4_096;
    // A request takes a user once.
    for (const [mechanism, digest, length] of [[1, "sha256", 32], [2, "sha512", 64]] as const) {
      const salt = randomBytes(16);
      const saltedPassword = pbkdf2Sync(password, salt, iterations, length, digest);
      await alterUserScramCredentialsV0.api.async(connection, [], [{ name: username, mechanism, iterations, salt, saltedPassword }]);
    }
  } finally {
    await connection.close();
  }
}

function keytool(...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync("keytool", args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`keytool ${args[0]} failed: ${stdout}${stderr}`);
  return stdout;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}
