/**
 * Runs inside of workerd: a Durable Object that runs one conformance case a request, and keeps a SQLite database for the tests of durability.
 *
 * `/disk/3` and `/runtime/3` run a case; `/sqlite/add/5` adds five rows and says how many there are; `/sqlite/check` runs the integrity check;
 * `/app/30` sends thirty records through a stepped app and closes it.
 */
import sqlite from "sqlite3.wasm";
import vfs from "vfs.wasm";
import type { DurableStorage } from "../../adapters/workerd/workerd.ts";
import { workerd } from "../../adapters/workerd/workerd.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { countAndClose } from "./app-fixture.ts";
import { openDatabase } from "../../src/sqlite/open.ts";
import { runCase } from "../../src/testing/conformance/cases.ts";
import { diskCases } from "../../src/testing/conformance/disk-cases.ts";
import { runtimeCases } from "../../src/testing/conformance/runtime-cases.ts";

interface Stub {
  fetch(request: Request): Promise<Response>;
}

interface Environment {
  readonly CASES: { idFromName(name: string): unknown; get(id: unknown): Stub };
  readonly GREETING: string;
}

/** One object a case, so that each begins with nothing. */
export class CaseObject {
  readonly #runtime: Runtime;
  readonly #env: Environment;

  constructor(ctx: { readonly storage: DurableStorage }, env: Environment) {
    this.#env = env;
    this.#runtime = workerd({ storage: ctx.storage, modules: { sqlite, vfs }, env: { ...env } });
  }

  async fetch(request: Request): Promise<Response> {
    const [kind, what = "", count = "0"] = new URL(request.url).pathname.slice(1).split("/");
    try {
      if (kind === "disk") return Response.json(await this.#disk(Number(what)));
      if (kind === "runtime") return Response.json(await this.#runtimeCase(Number(what)));
      if (kind === "env") return Response.json([this.#runtime.env("GREETING"), this.#runtime.env("CASES") ?? null, typeof this.#env.CASES]);
      if (kind === "app") return Response.json(await countAndClose(this.#runtime, Number(what)));
      return Response.json(await this.#sqlite(what, Number(count)));
    } catch (error) {
      return Response.json({ error: String(error instanceof Error ? error.stack : error) }, { status: 500 });
    }
  }

  async #disk(index: number): Promise<unknown> {
    const one = diskCases[index];
    return one && (await runCase(one, { disk: this.#runtime.disk("state"), another: () => this.#runtime.disk("state") }));
  }

  async #runtimeCase(index: number): Promise<unknown> {
    const one = runtimeCases[index];
    return one && (await runCase(one, { runtime: this.#runtime, settle: (promise) => promise }));
  }

  async #sqlite(what: string, count: number): Promise<unknown> {
    const database = await openDatabase(this.#runtime, this.#runtime.disk("state"), "test.db", { journal: "memory", pageBytes: 16_384 });
    try {
      database.exec("CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, value TEXT NOT NULL)");
      if (what === "check") {
        const check = database.prepare("PRAGMA integrity_check");
        check.step();
        const answer = check.text(0);
        check.finalize();
        return answer;
      }
      database.exec("BEGIN");
      const insert = database.prepare("INSERT INTO rows (value) VALUES (?)");
      for (let row = 0; row < count; row++) {
        insert.bindText(0, `row ${row} ${"x".repeat(200)}`);
        insert.run();
      }
      insert.finalize();
      database.exec("COMMIT");
      await database.flush();
      const rows = database.prepare("SELECT count(*), count(DISTINCT id) FROM rows");
      rows.step();
      const answer = [rows.number(0), rows.number(1)];
      rows.finalize();
      return answer;
    } finally {
      database.close();
    }
  }
}

/** `/name/…` goes to the object of that name. */
const worker: { fetch(request: Request, env: Environment): Promise<Response> } = {
  fetch(request: Request, env: Environment): Promise<Response> {
    const url = new URL(request.url);
    const [, name = "", ...rest] = url.pathname.split("/");
    return env.CASES.get(env.CASES.idFromName(name)).fetch(new Request(new URL(`/${rest.join("/")}`, url), request));
  },
};

export default worker;
