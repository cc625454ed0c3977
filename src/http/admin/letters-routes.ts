/** Dead and late letters, and the audit: listed, grouped, edited, tried again, purged. */
import type { LetterBoxName, LetterState } from "../../letter/letter.ts";
import type { LetterEdit, LetterQuery } from "../../letter/letter-desk.ts";
import type { Selection } from "../../letter/selection.ts";
import type { HttpHost } from "../host.ts";
import { momentOf } from "../moment.ts";
import { Refusal } from "../problem.ts";
import type { Call, Route } from "../router.ts";
import { answered } from "./answer.ts";
import type { Guard } from "./guard.ts";
import { checkNames, isObject, type Order, orderReader, wrong } from "./order.ts";

const LIMIT = 100;
const LIMIT_MAX = 1_000;
const EDITS_MAX = 1_000;
const STATES: readonly string[] = ["open", "queued", "replayed", "purged"] satisfies readonly LetterState[];
const FILTER_NAMES = ["fingerprint", "step", "since", "until"] as const;
const BOX = "/admin/letters/:kind/:source";

/** The routes of letters, behind the guard of the admin pages. */
export function lettersRoutes(host: HttpHost, guard: Guard): readonly Route[] {
  const readOrder = orderReader(host.runtime);
  const page = (path: string, names: readonly string[], answer: (call: Call) => Promise<unknown>): Route => ({
    path,
    method: "GET",
    handle: async (request, call) => {
      await guard(request, call);
      return await answered(host, path, () => {
        checkQuery(call.url.searchParams, names);
        return answer(call);
      });
    },
  });
  const order = (path: string, names: readonly string[], follow: (order: Order, box: LetterBoxName) => Promise<unknown>): Route => ({
    path,
    method: "POST",
    handle: async (request, call) => {
      await guard(request, call);
      return await answered(host, path, async () => {
        checkQuery(call.url.searchParams, []);
        const box = boxOf(host, call);
        return await follow(await readOrder(request, names), box);
      });
    },
  });
  const { letters: desk } = host;
  return [
    page("/admin/letters", [], async () => ({ sources: await desk.counts() })),
    page(
      "/admin/audit",
      ["after", "limit"],
      async ({ url: { searchParams } }) => await desk.audit(numberOf(searchParams, "after") ?? Infinity, limitOf(searchParams)),
    ),
    page(BOX, [...FILTER_NAMES, "state", "after", "limit"], async (call) => await desk.list(boxOf(host, call), queryOf(call))),
    page(`${BOX}/whole`, [...FILTER_NAMES, "state", "after", "limit"], async (call) => await desk.whole(boxOf(host, call), queryOf(call))),
    page(`${BOX}/groups`, [...FILTER_NAMES, "state"], async (call) => await desk.groups(boxOf(host, call), queryOf(call))),
    order(`${BOX}/edit`, ["edits"], async ({ body, by }, box) => await desk.edit(box, editsOf(body["edits"]), by)),
    order(`${BOX}/replay`, ["select", "dryRun", "again", "at"], async ({ body, by }, box) => {
      const at = body["at"] ?? "original";
      if (at !== "original" && at !== "now") throw wrong('The "at" must be "original" or "now".');
      return await desk.replay(box, selectionOf(body["select"]), { by, dryRun: flagOf(body, "dryRun"), again: flagOf(body, "again"), at });
    }),
    order(`${BOX}/purge`, ["select", "dryRun"], async ({ body, by }, box) => {
      return await desk.purge(box, selectionOf(body["select"]), { by, dryRun: flagOf(body, "dryRun") });
    }),
    // After those whose last part is a word.
    page(`${BOX}/:id`, [], async (call) => {
      const box = boxOf(host, call);
      const id = call.params["id"]!;
      const letter = /^\d{1,15}$/.test(id) ? await desk.letter(box, Number(id)) : null;
      if (letter === null) throw new Refusal({ status: 404, reason: "letter", detail: `There is no ${box.kind} letter ${shortened(id)} of "${box.source}".` });
      return letter;
    }),
  ];
}

function boxOf({ letters }: HttpHost, { params }: Call): LetterBoxName {
  const kind = params["kind"]!;
  const source = params["source"]!;
  if (kind !== "dead" && kind !== "late") {
    throw new Refusal({ status: 404, reason: "kind", detail: `There are no ${shortened(kind)} letters: wanted dead or late.` });
  }
  if (letters.has({ kind, source })) return { kind, source };
  const known = letters.sources(kind).map((name) => `"${shortened(name)}"`).join(", ");
  const detail = `There is no source "${shortened(source)}" with ${kind} letters, wanted ${known === "" ? "none: the app has no sources" : known}.`;
  throw new Refusal({ status: 404, reason: "source", detail });
}

function checkQuery(parameters: URLSearchParams, names: readonly string[]): void {
  for (const name of parameters.keys()) {
    if (names.includes(name) && parameters.getAll(name).length === 1) continue;
    const wanted = names.length === 0 ? "no parameters" : `each of ${names.join(", ")} once at most`;
    throw new Refusal({ status: 400, reason: "query", detail: `The parameter ${shortened(name)} is not taken here: wanted ${wanted}.` });
  }
}

function queryOf({ url: { searchParams } }: Call): LetterQuery {
  const state = searchParams.get("state") ?? undefined;
  if (state !== undefined && !STATES.includes(state)) {
    throw new Refusal({ status: 400, reason: "query", detail: `The parameter state must be one of ${STATES.join(", ")}.` });
  }
  return {
    fingerprint: searchParams.get("fingerprint") ?? undefined,
    step: searchParams.get("step") ?? undefined,
    since: momentOf("since", searchParams.get("since")) ?? undefined,
    until: momentOf("until", searchParams.get("until")) ?? undefined,
    state: state as LetterState | undefined,
    after: numberOf(searchParams, "after") ?? undefined,
    limit: limitOf(searchParams),
  };
}

function numberOf(parameters: URLSearchParams, name: string): number | null {
  const text = parameters.get(name);
  if (text === null) return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Refusal({ status: 400, reason: "query", detail: `The parameter ${name} must be a whole number from 0.` });
}

function limitOf(parameters: URLSearchParams): number {
  const limit = numberOf(parameters, "limit") ?? LIMIT;
  if (limit >= 1 && limit <= LIMIT_MAX) return limit;
  throw new Refusal({ status: 400, reason: "query", detail: `The parameter limit must be a whole number from 1 to ${LIMIT_MAX}.` });
}

function selectionOf(given: unknown): Selection {
  if (!isObject(given)) throw wrong('The "select" is missing: wanted an object with ids, or with fingerprint, step, since or until, or with "all": true.');
  checkNames("selection", given, ["ids", "all", ...FILTER_NAMES]);
  const { ids, all } = given;
  if (ids !== undefined && !(Array.isArray(ids) && ids.every((id) => typeof id === "number"))) throw wrong('The "ids" must be a list of whole numbers.');
  if (all !== undefined && all !== true) throw wrong('The "all" must be true where it is given.');
  return {
    ids: ids as readonly number[] | undefined,
    all,
    fingerprint: textOf(given, "fingerprint"),
    step: textOf(given, "step"),
    since: timeOf(given, "since"),
    until: timeOf(given, "until"),
  };
}

function textOf(given: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = given[name];
  if (value === undefined || typeof value === "string") return value;
  throw wrong(`The "${name}" must be text.`);
}

/** As in a URL, or as a number. */
function timeOf(given: Readonly<Record<string, unknown>>, name: string): number | undefined {
  const value = given[name];
  if (value === undefined) return undefined;
  return momentOf(name, typeof value === "number" || typeof value === "string" ? String(value) : "") ?? undefined;
}

function flagOf(body: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = body[name] ?? false;
  if (typeof value === "boolean") return value;
  throw wrong(`The "${name}" must be true or false.`);
}

function editsOf(given: unknown): readonly LetterEdit[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > EDITS_MAX) throw wrong(`The "edits" must be a list of 1 to ${EDITS_MAX} edits.`);
  return given.map((edit: unknown) => {
    if (!isObject(edit)) throw wrong("Each edit must be an object with an id and a value.");
    checkNames("edit", edit, ["id", "value", "valueBase64", "tombstone", "force"]);
    const { id } = edit;
    if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 0) throw wrong("Each edit must name its letter: id is a whole number from 0.");
    return { id, value: edit["value"], valueBase64: textOf(edit, "valueBase64"), tombstone: flagOf(edit, "tombstone"), force: flagOf(edit, "force") };
  });
}

function shortened(text: string): string {
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}
