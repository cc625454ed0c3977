/** When what a GitHub webhook tells of happened. There is no header for it: the payload says it inside of its subject, under several names. */
import * as v from "valibot";

const time = v.optional(v.nullable(v.pipe(v.string(), v.isoTimestamp())));
const comment = v.optional(v.object({ updated_at: time }));
const subject = v.optional(v.object({ updated_at: time, created_at: time }));

const Dated = v.object({
  repository: v.optional(v.object({ pushed_at: v.optional(v.unknown()) })),
  review: v.optional(v.object({ submitted_at: time })),
  release: v.optional(v.object({ published_at: time, created_at: time })),
  check_run: v.optional(v.object({ completed_at: time, started_at: time })),
  comment,
  pull_request: subject,
  issue: subject,
  discussion: subject,
  deployment_status: subject,
  deployment: subject,
  starred_at: time,
});

/** Milliseconds since the epoch; null where the payload does not say. */
export function momentOf(payload: unknown): number | null {
  const { success, output: told } = v.safeParse(Dated, payload);
  if (!success) return null;
  // Only pushes give this as a number, of seconds: the moment of the push, where its commits may be days older.
  if (typeof told.repository?.pushed_at === "number") return told.repository.pushed_at * 1000;
  const at = told.comment?.updated_at ?? told.review?.submitted_at ?? told.check_run?.completed_at ?? told.check_run?.started_at ??
    told.release?.published_at ?? told.release?.created_at ?? told.deployment_status?.updated_at ?? told.deployment?.updated_at ??
    told.pull_request?.updated_at ?? told.issue?.updated_at ?? told.discussion?.updated_at ?? told.starred_at;
  return at ? Date.parse(at) : null;
}
