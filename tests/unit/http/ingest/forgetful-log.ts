/** A log that knows no ids, as Kafka is one: what keeps repeats out then is the app's. */
import type { LogDriver } from "../../../../mod.ts";
import type { Append, AppendReceipt, LogCapabilities } from "../../../../src/log/log.ts";
import { WrappedLog } from "../../../../src/testing/wrapped-log.ts";

class ForgetfulLog extends WrappedLog {
  override get capabilities(): LogCapabilities {
    return { ...this.inner.capabilities, deduplicates: false };
  }

  override append(appends: readonly Append[]): Promise<readonly AppendReceipt[]> {
    const withId = appends.find(({ id }) => id !== undefined && id !== null);
    if (withId !== undefined) return Promise.reject(new Error(`an append to "${withId.topic}" has an id`));
    return super.append(appends);
  }
}

/** The same log without ids. */
export function forgetful(driver: LogDriver): LogDriver {
  return {
    "~log": driver["~log"],
    open: async (context) => {
      const opened = await driver.open(context);
      return { ...opened, log: new ForgetfulLog(opened.log) };
    },
  };
}
