import { codecCases } from "../../src/testing/conformance/codec-cases.ts";
import { bytesSubject, type CodecSubject, jsonSubject, msgpackSubject, textSubject } from "../../src/testing/conformance/codec-subjects.ts";
import { registerCases } from "./register.ts";

const subjects: readonly (readonly [name: string, subject: CodecSubject])[] = [["json", jsonSubject], ["msgpack", msgpackSubject], ["text", textSubject], [
  "bytes",
  bytesSubject,
]];

for (const [name, subject] of subjects) registerCases(`codec ${name}`, codecCases, { open: () => ({ subject }) });
