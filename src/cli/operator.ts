/** What the commands of operators have in common: whom they ask, in whose name, and how that is found. */
import { type AdminPlace, adminPlaces } from "../app/admin-place.ts";
import { type App, internalsOf } from "../app/app.ts";
import { DefinitionError, ExternalError, isStreamError } from "../base/errors.ts";
import { env, resolveSecret } from "../runtime/env-value.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { AdminClient } from "./admin-client.ts";
import type { CommandHost, CommonArguments } from "./command.ts";
import { findApp } from "./find-app.ts";
import { checkVariable, debug, flag, type PlainFlag, text, type TextFlag, textFlag } from "./parameters.ts";

/** The flags of all of them, as they come. */
export interface OperatorFlags {
  readonly url?: string;
  readonly tokenEnv?: string;
  readonly dir?: string;
  readonly as?: string;
  readonly json: boolean;
  readonly debug: boolean;
}

/** The flags of all of them. */
export const operatorFlags: {
  readonly url: TextFlag;
  readonly tokenEnv: TextFlag;
  readonly dir: TextFlag;
  readonly as: TextFlag;
  readonly json: PlainFlag;
  readonly debug: PlainFlag;
} = {
  url: textFlag("Address of the app, such as http://127.0.0.1:8080; the file may be left out then", "address", text("url")),
  tokenEnv: textFlag("Environment variable that holds the token of the admin pages at --url", "NAME", text("token-env")),
  dir: textFlag("Directory of the log and the state; the running app is found by it", "path", text("dir")),
  as: textFlag("Who you are, for the audit; the user of the system otherwise", "name", text("as")),
  json: flag("Print JSON"),
  debug,
};

/** Whom a command asks, and in whose name. */
export interface OperatorArguments extends CommonArguments {
  /** undefined: an address was given instead. */
  readonly file: string | undefined;
  readonly url: string | undefined;
  readonly tokenEnv: string | undefined;
  readonly directory: string | undefined;
  readonly operator: string | undefined;
}

const MODULE = /\.[cm]?[jt]sx?$/;

/**
 * Tells the module from what else a command takes: the first argument is the module; where an address is given it may be missing. An Error when `wanted` more are not there, or more than `most`. `usage`
 * says the command as it is typed.
 */
export function understandOperator(
  { url, tokenEnv, dir, as, json, debug }: OperatorFlags,
  typed: readonly string[],
  { wanted, most, usage }: { readonly wanted: number; readonly most: number; readonly usage: string },
): { readonly asked: OperatorArguments; readonly rest: readonly string[] } | Error {
  const fault = checkVariable("token-env", tokenEnv);
  if (fault !== null) return fault;
  if (url !== undefined && !isAddress(url)) return new Error(`--url is ${url}, wanted an address such as http://127.0.0.1:8080`);
  if (url !== undefined && dir !== undefined) return new Error("Cannot use --url and --dir at once: choose one");
  if (tokenEnv !== undefined && url === undefined) return new Error("--token-env goes with --url: of an app found by its directory the token is known");
  const first = typed[0];
  const hasFile = first !== undefined && (url === undefined || MODULE.test(first));
  const rest = hasFile ? typed.slice(1) : typed;
  if ((!hasFile && url === undefined) || rest.length < wanted) return new Error(`Something is missing, wanted ${usage}`);
  if (rest.length > most) return new Error(`Too many arguments, from ${JSON.stringify(rest[most])} on: wanted ${usage}`);
  return { asked: { file: hasFile ? first : undefined, url, tokenEnv, directory: dir, operator: as, json, debug }, rest };
}

function isAddress(url: string): boolean {
  return URL.canParse(url) && /^https?:$/.test(new URL(url).protocol);
}

/** Writes a command for the same app as one would type it: `dlq show` and `orders 17` become `millrace dlq show app.ts orders 17`. */
export type CommandText = (words: string, rest?: string) => string;

/** For the app of a command that was typed. */
export function commandText({ file, url, tokenEnv, directory }: Pick<OperatorArguments, "file" | "url" | "tokenEnv" | "directory">): CommandText {
  const flags: readonly (readonly [name: string, value: string | undefined])[] = [["--url", url], ["--token-env", tokenEnv], ["--dir", directory]];
  return (words, rest) =>
    [
      `millrace ${words}`,
      ...[file].flatMap((value) => value === undefined ? [] : [quoted(value)]),
      ...(rest === undefined ? [] : [rest]),
      ...flags.flatMap(([name, value]) => value === undefined ? [] : [name, quoted(value)]),
    ].join(" ");
}

/** As a shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Who answers. */
export interface Connection extends AsyncDisposable {
  /** Whoever is asked where one knows all. */
  readonly client: AdminClient;
  /** Each process: what is under way, each knows of itself alone. */
  readonly workers: readonly AdminClient[];
  /** False: nobody works; what is ordered is done once somebody does. */
  readonly isRunning: boolean;
}

/**
 * Finds the app: at the address that was given; else the processes that run on its directory; else its log, opened here, where nobody works on it. Rejects with a DefinitionError for what was given, an
 * ExternalError `ADMIN_FAILED` when a process is in the way that does not listen.
 */
export async function connect(asked: OperatorArguments, { runtime, load, fetch }: CommandHost): Promise<Connection> {
  const operator = asked.operator ?? userOf(runtime);
  if (asked.url !== undefined) {
    const token = asked.tokenEnv === undefined ? null : resolveSecret(runtime, env(asked.tokenEnv), "token of --token-env");
    const url = asked.url.replace(/\/+$/, "");
    return running([new AdminClient({ runtime, url, token, operator, fetch, where: url })]);
  }
  const app = await findApp(asked.file!, load);
  const directory = asked.directory ?? internalsOf(app).definitions().directory;
  const places = adminPlaces(runtime, directory);
  const other = places.find((place) => place.app !== app.name);
  if (other !== undefined) {
    const message =
      `Cannot ask app "${app.name}": in ${directory} app "${other.app}" runs (process ${other.processId}). Name its own directory with --dir, or its address with --url`;
    throw new DefinitionError(message, { code: "CONFIG_INVALID" });
  }
  if (places.length > 0) {
    const whereOf = ({ url, processId }: AdminPlace): string => processId === 0 ? url : `${url} (process ${processId})`;
    return running(places.map((place) => new AdminClient({ runtime, url: place.url, token: place.token, operator, fetch, where: whereOf(place) })));
  }
  return await opened(app, directory, (at, where) => new AdminClient({ runtime, url: "http://localhost", token: null, operator, fetch: at, where }));
}

/** Who is logged in, behind sudo too. The engine signs with its own name: a user of that name is told from it. */
function userOf(runtime: Pick<Runtime, "env">): string {
  const user = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"].map((name) => runtime.env(name)).find((name) => name !== undefined && name !== "") ?? "unknown";
  return user === "millrace" ? "user millrace" : user;
}

function running(workers: readonly AdminClient[]): Connection {
  return { client: workers[0]!, workers, isRunning: true, [Symbol.asyncDispose]: async () => {} };
}

async function opened(
  app: App,
  directory: string,
  clientOf: (fetch: (request: Request) => Promise<Response>, where: string) => AdminClient,
): Promise<Connection> {
  try {
    const access = await internalsOf(app).openForOperator(directory);
    const client = clientOf(access.fetch, access.place);
    return { client, workers: [client], isRunning: false, [Symbol.asyncDispose]: () => access.close() };
  } catch (error) {
    if (!isStreamError(error) || error.code !== "DISK_LOCKED") throw error;
    throw new ExternalError(
      "ADMIN_FAILED",
      `Cannot ask app "${app.name}": a process works in ${directory} and does not say where it listens. Give its address with --url, have it listen (run with a port), or stop it first`,
      { cause: error },
    );
  }
}

/** Said to people when nobody works. */
export function laterNote({ isRunning, client }: Connection, what: string): string | null {
  return isRunning ? null : `No process of the app was found: ${what} in the log at ${client.where}, and done when the app runs`;
}
