import { describe, expect, test } from "bun:test";
import { hostRuntime } from "../../../adapters/host/host.ts";
import { openDatabase } from "../../../src/sqlite/open.ts";
import { tempDirectory } from "../../shim/temp.ts";
import { nativeText } from "./native.ts";

const runtime = await hostRuntime();

describe("openDatabase() on the host's disk", () => {
  for (const [name, options] of [["with checksums", {}], ["without checksums", { checksums: false }], ["with pages of 16 KiB", { pageBytes: 16_384 }]] as const) {
    test(`${name}, makes a file that native SQLite finds sound`, async () => {
      const temp = tempDirectory();
      const database = await openDatabase(runtime, runtime.disk(temp.path), "app.db", options);
      database.exec("CREATE TABLE entries(key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID; BEGIN");
      const insert = database.prepare("INSERT INTO entries VALUES(?, ?)");
      for (let row = 0; row < 2_000; row++) {
        insert.bindText(0, `key ${row}`);
        insert.bindBlob(1, new Uint8Array(row % 700).fill(row & 255));
        insert.run();
      }
      database.exec("COMMIT");
      await database.flush();
      database.close();

      const answers = [
        await nativeText(`${temp.path}/app.db`, "PRAGMA integrity_check"),
        await nativeText(`${temp.path}/app.db`, "SELECT count(*) || ' ' || sum(length(value)) FROM entries"),
      ];
      temp.remove();

      expect(answers).toEqual(["ok", `2000 ${Array.from({ length: 2_000 }, (_, row) => row % 700).reduce((sum, bytes) => sum + bytes, 0)}`]);
    });
  }

  test("D7 names this process to a second opener", async () => {
    const temp = tempDirectory();
    const first = await openDatabase(runtime, runtime.disk(temp.path), "app.db");

    await expect(openDatabase(runtime, runtime.disk(temp.path), "app.db")).rejects.toThrow(/process \d+/);

    first.close();
    (await openDatabase(runtime, runtime.disk(temp.path), "app.db")).close();
    temp.remove();
  });
});
