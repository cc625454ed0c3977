/** `millrace migrate`: moves an embedded app, which does not run, to another log, or takes that back. */
import { moveEmbeddedApp, surveyEmbeddedApp, takeBackMove } from "../../app/migrate/embedded-app.ts";
import type { MoveProgress } from "../../app/migrate/migrate.ts";
import type { Survey } from "../../app/migrate/survey.ts";
import { logger } from "../../observe/logger.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { type CliCommand, defineCommand } from "../command.ts";
import { findApp } from "../find-app.ts";
import { appFile, choiceFlag, debug, flag, text, textFlag } from "../parameters.ts";
import { type Column, counted, moment, tableLines } from "../text.ts";

const TARGETS = ["kafka"] as const;
const PROGRESS_MS = 1_000;

interface MigrateArguments {
  readonly file: string;
  /** null: a move is taken back. */
  readonly to: (typeof TARGETS)[number] | null;
  readonly isDry: boolean;
  readonly directory: string | undefined;
  readonly json: boolean;
  readonly debug: boolean;
}

interface Flags {
  readonly to?: (typeof TARGETS)[number];
  readonly dryRun: boolean;
  readonly undo: boolean;
  readonly dir?: string;
  readonly json: boolean;
  readonly debug: boolean;
}

/** The command. */
export const migrateCommand: CliCommand = defineCommand<Flags, [string], MigrateArguments>({
  brief: "Move an embedded app to Kafka, with all it has",
  description: [
    "Moves the records, the state, the ids of webhooks and the positions of an app that is stopped, from its directory to the cluster that KAFKA_BROKERS and the other variables describe.",
    "The app goes on there as if it had never stopped. What lies in the directory stays as it is, and the app is not started from it any more; --undo takes that back.",
    "Cut off at any point, it is run again, and goes on.",
  ],
  usage: "<app.ts> --to kafka [--dry-run]",
  positional: { kind: "tuple", parameters: [appFile] },
  flags: {
    to: choiceFlag("The log to move to", TARGETS),
    dryRun: flag("Print what would move, and write nothing"),
    undo: flag("Take a move back: the app goes on in its directory, as it was left there"),
    dir: textFlag("Directory of the log and the state", "path", text("dir")),
    json: flag("Print JSON lines"),
    debug,
  },
  understand: ({ to, dryRun, undo, dir, json, debug }, file) => {
    if (undo && (to !== undefined || dryRun)) return new Error("--undo stands alone: it takes back the move that was made");
    if (!undo && to === undefined) return new Error("Cannot tell where to: wanted --to kafka");
    return { file, to: to ?? null, isDry: dryRun, directory: dir, json, debug };
  },
  run: async ({ file, to, isDry, directory, json }, { runtime, load }) => {
    const app = await findApp(file, load);
    const options = { directory, observer: logger({ runtime, level: "warn" }) };
    if (to === null) {
      const mark = await takeBackMove(app, options);
      runtime.print(json ? JSON.stringify({ type: "takenBack", app: app.name, ...mark }) : takenBackLine(app.name, mark.to, mark.endedAt));
    } else if (isDry) {
      const survey = await surveyEmbeddedApp(app, options);
      for (const line of json ? [surveyJson(app.name, survey)] : surveyLines(app.name, to, survey)) runtime.print(line);
    } else {
      const survey = await moveEmbeddedApp(app, to, options, progressPrinter(runtime, json));
      for (const line of json ? [JSON.stringify({ type: "moved", app: app.name, to })] : movedLines(app.name, to, survey)) runtime.print(line);
    }
  },
});

/** Says how far it is, at most once a second, and when each part is done. */
function progressPrinter(runtime: Runtime, json: boolean): (progress: MoveProgress) => void {
  let saidAt = -Infinity;
  return ({ what, done, total }) => {
    const now = runtime.monotonic();
    if (done < total && now - saidAt < PROGRESS_MS) return;
    saidAt = now;
    runtime.print(json ? JSON.stringify({ type: "moving", what, done, total }) : `${done} of ${total} ${what === "rows" ? "rows of state" : "records"} moved`);
  };
}

interface TopicLine {
  readonly topic: string;
  readonly partitions: number;
  readonly records: number;
  readonly bytes: number;
}

interface TaskLine {
  readonly task: string;
  readonly rows: number;
  readonly stores: string;
}

interface PositionLine {
  readonly input: string;
  readonly position: number;
  readonly behind: number;
}

const topicColumns: readonly Column<TopicLine>[] = [
  { name: "topic", of: ({ topic }) => topic },
  { name: "partitions", of: ({ partitions }) => partitions },
  { name: "records", of: ({ records }) => records },
  { name: "bytes", of: ({ bytes }) => bytes },
];

const taskColumns: readonly Column<TaskLine>[] = [
  { name: "task", of: ({ task }) => task },
  { name: "rows", of: ({ rows }) => rows },
  { name: "in stores", of: ({ stores }) => stores },
];

const positionColumns: readonly Column<PositionLine>[] = [
  { name: "input", of: ({ input }) => input },
  { name: "at position", of: ({ position }) => position },
  { name: "records before it is at the end", of: ({ behind }) => behind },
];

/** The lines of `--dry-run`. */
export function surveyLines(app: string, to: string, survey: Survey): readonly string[] {
  return [
    `"${app}" would move to ${to}; nothing was written.`,
    "",
    ...tableLines(topicColumns, topicsOf(survey)),
    "",
    ...tableLines(taskColumns, tasksOf(survey)),
    "",
    ...tableLines(positionColumns, positionsOf(survey)),
    "",
    counted(survey.ids, "id") + " of webhooks",
    ...leftLines(survey),
  ];
}

/** What stays, for people to know. */
function leftLines({ left, otherGroups }: Survey): string[] {
  return [
    ...left.map(({ store, partition, rows }) =>
      `stays behind: ${counted(rows, "row")} of store "${store}" of task ${partition}, which no step of the app keeps any more`
    ),
    ...otherGroups.map((group) => `stays behind: the positions of group "${group}", which is not the app's`),
  ];
}

function movedLines(app: string, to: string, survey: Survey): string[] {
  return [`"${app}" has moved to ${to}: start it there, with MILLRACE_LOG=${to}. What lies in its directory stays as it was.`, ...leftLines(survey)];
}

function takenBackLine(app: string, to: string, endedAt: number | null): string {
  return endedAt === null
    ? `The move of "${app}" to ${to}, which had not ended, is taken back: delete what it has left there before another is begun.`
    : `The move of "${app}" to ${to} is taken back: it goes on from what it was at ${moment(endedAt)}. See to it that it does not run on ${to} as well.`;
}

function surveyJson(app: string, survey: Survey): string {
  const { ids, left, otherGroups } = survey;
  return JSON.stringify({ type: "wouldMove", app, topics: topicsOf(survey), tasks: tasksOf(survey), positions: positionsOf(survey), ids, left, otherGroups });
}

function topicsOf({ topics, partitions }: Survey): TopicLine[] {
  return topics.map(({ name, partitions: count }) => {
    const own = partitions.filter(({ topic }) => topic === name);
    const sum = (of: (partition: (typeof own)[number]) => number): number => own.reduce((total, partition) => total + of(partition), 0);
    return { topic: name, partitions: count, records: sum(({ positions }) => positions.count), bytes: sum(({ bytes }) => bytes) };
  });
}

function tasksOf({ tasks }: Survey): TaskLine[] {
  return [...tasks].map(([task, spaces]) => {
    const full = spaces.filter(({ rows }) => rows > 0);
    return { task, rows: full.reduce((total, { rows }) => total + rows, 0), stores: full.map(({ store, rows }) => `${store} ${rows}`).join(", ") };
  });
}

function positionsOf({ partitions }: Survey): PositionLine[] {
  return partitions.flatMap(({ topic, partition, committed, end }) =>
    committed === null ? [] : [{ input: `${topic}/${partition}`, position: committed, behind: end - committed }]
  );
}
