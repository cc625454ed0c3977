/** Runs TypeScript over programs that a test makes up. */
import { hostRuntime } from "../../adapters/host/host.ts";
import { spawnProgram } from "../shim/spawn.ts";
import { tempDirectory } from "../shim/temp.ts";

/** What TypeScript says of a program. */
export interface Compiled {
  /** The errors in it, one text each, without the place. */
  readonly errors: readonly string[];
  /** Types that were made of generic ones: what type checking costs, the same on every machine. */
  readonly instantiations: number;
}

const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const compiler = new URL("../../node_modules/typescript/bin/tsc", import.meta.url);

/**
 * Type-checks a program that imports `millrace` and `valibot`, as strictly as the package itself. `types` are the runtimes whose types its user has; where they are given, errors of the package count
 * as well.
 */
export async function compile(program: string, types?: readonly string[]): Promise<Compiled> {
  const temp = tempDirectory();
  try {
    const disk = (await hostRuntime()).disk(temp.path);
    const write = (path: string, text: string): void => {
      const file = disk.open(path);
      file.write(new TextEncoder().encode(text), 0);
      file.close();
    };
    write("program.mts", program);
    write("tsconfig.json", JSON.stringify({
      extends: `${root}tsconfig.json`,
      compilerOptions: {
        isolatedDeclarations: false,
        declaration: false,
        noErrorTruncation: true,
        ...(types === undefined ? {} : { types }),
        typeRoots: [`${root}node_modules/@types`],
        paths: { millrace: [`${root}mod.ts`], valibot: [`${root}node_modules/valibot/dist/index.d.mts`] },
      },
      files: ["program.mts"],
      include: [],
    }));
    const run = spawnProgram("node", compiler, ["-p", temp.path, "--extendedDiagnostics", "--singleThreaded", "--pretty", "false"]);
    const errors: string[] = [];
    let instantiations = NaN;
    for await (const line of run.lines()) {
      const error = (types === undefined ? /program\.mts\(\d+,\d+\): error TS\d+: (.*)$/ : /error TS\d+: (.*)$/).exec(line);
      if (error !== null) errors.push(error[1]!);
      const counted = /^Instantiations:\s+(\d+)/.exec(line);
      if (counted !== null) instantiations = Number(counted[1]);
    }
    await run.exited;
    if (Number.isNaN(instantiations)) throw new Error(`TypeScript did not run: ${run.stderr()}`);
    return { errors, instantiations };
  } finally {
    temp.remove();
  }
}
