/** Programs of workers on Kafka that say each count of a key: when one stands, how it is, and whether each record counted once. */
import type { Program } from "../shim/spawn.ts";
import type { Records } from "./records.ts";

/** What a worker says once it stands. */
export interface Standing {
  readonly worker: number;
  readonly processId: number;
  readonly place: string;
  readonly url: string;
}

/** How a worker is. */
export interface WorkerHealth {
  readonly status: string;
  readonly reason?: string;
  readonly tasks: readonly { readonly id: string; readonly status: string; readonly reason?: string }[];
}

/** Fulfils once the next worker of a program stands. Rejects when the program ends before. */
export async function standing(program: Program): Promise<Standing> {
  for await (const line of program.lines()) {
    const said = JSON.parse(line) as Standing & { readonly type?: unknown };
    if (said.type === "started") return said;
  }
  throw new Error(`The program ended before a worker stood: ${program.stderr()}`);
}

/** What its health page says. */
export async function healthOf(url: string): Promise<WorkerHealth> {
  return await (await fetch(`${url}/admin/health`)).json() as WorkerHealth;
}

/** What is wrong with the counts: each key's must be said from 1 up, each once and in order. */
export async function wrongCounts(content: Records, name: string): Promise<readonly string[]> {
  const wanted = new Map<string, number>();
  const said = new Map<string, number[]>();
  await content.dump(`${name}-in`, ({ key }) => void wanted.set(key, (wanted.get(key) ?? 0) + 1));
  await content.dump(`${name}-out`, ({ key, value }) => void said.set(key, [...(said.get(key) ?? []), Number(value)]));
  const keys = new Set([...wanted.keys(), ...said.keys()]);
  return [...keys].flatMap((key) => {
    const counts = said.get(key) ?? [];
    const isRight = counts.length === wanted.get(key) && counts.every((count, index) => count === index + 1);
    return isRight
      ? []
      : [`${key}: ${wanted.get(key) ?? 0} records, counts ${counts.slice(0, 5).join(" ")} … ${counts.slice(-5).join(" ")} (${counts.length})`];
  });
}
