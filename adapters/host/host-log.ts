/** Where records lie when a program does not say: what the environment says, so that one program runs on one directory here and on Kafka there. */
import { DefinitionError } from "../../src/base/errors.ts";
import type { LogDriver } from "../../src/log/driver.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { kafkaOptions } from "./kafka-environment.ts";

/** The logs that come with the core. */
export interface BuiltInLogs {
  embedded(): LogDriver;
  memory(): LogDriver;
}

/** The log that `MILLRACE_LOG` names, embedded without it. Throws DefinitionError `CONFIG_INVALID` for a variable that cannot work: no log is better than another one. */
export async function hostLog(runtime: Pick<Runtime, "env">, { embedded, memory }: BuiltInLogs): Promise<LogDriver> {
  const name = runtime.env("MILLRACE_LOG") ?? "";
  switch (name) {
    case "":
    case "embedded":
      return embedded();
    case "memory":
      return memory();
    case "kafka": {
      const options = kafkaOptions(runtime);
      // Its client takes a third of a second to import.
      return (await import("../kafka/kafka.ts")).kafka(options);
    }
    default:
      throw new DefinitionError(`The environment variable MILLRACE_LOG is ${JSON.stringify(name)}, wanted "embedded", "memory" or "kafka"`, {
        code: "CONFIG_INVALID",
        details: { variable: "MILLRACE_LOG" },
      });
  }
}
