/** What the scenario of `state.test.ts` leaves behind. */

/** `store/partition fingerprint | time | key | value in hexadecimal`. */
export const goldenState: readonly string[] = [
  "account#history/0 features history | 0 | 1:a\u0000n\u000010019b76daabe8 | 01000000000000F03F",
  "account#history/0 features history | 0 | 1:a\u0000n\u000010019b76daafd0 | 010000000000000040",
  "account#history/0 features history | 0 | 2:Ω\u0000\u0000n\u000010019b76dab3b8 | 010000000000000840",
  "account#history/0 features history | 0 | 4:late\u0000n\u000010019b76daabe8 | 010000000000001440",
  "account#history/0 features history | 0 | 4:late\u0000n\u000010019b76ddb540 | 010000000000001040",
  "account#online/0 features online | 0 | a | 0281A16E9202CB4279B76DAAFD0000",
  "account#online/0 features online | 0 | late | 0281A16E9204CB4279B76DDB540000",
  "account#online/0 features online | 0 | Ω\u0000 | 0281A16E9203CB4279B76DAB3B8000",
  "by oddness/0 window by any 60000/60000+0 :reduce | 1767225840000 | \u0000j{\"odd\":false} | 02929182A16BA46C617465A17604CB4279B76DDB540000",
  "golden-account#clocks/0 clocks | 0 |  | 029601CB4279B76DDB540000CB4279B76DDB540000009193AE676F6C64656E2D6163636F756E74CB4279B76DDB5400009090",
  "golden-oddness-repartition#clocks/0 clocks | 0 |  | 029601CB4279B76DDB540000CB4279B76DDB540000009193BA676F6C64656E2D6F64646E6573732D72657061" +
    "72746974696F6ECB4279B76DDB5400009192A4696E2F30CB4279B76DDB5400009192AA6279206F64646E657373CB4279B76DDB540000",
  "in#clocks/0 clocks | 0 |  | 029601CB4279B76DDBD10000CB4279B76DDB540000009193A2696ECB4279B76DDBD10000909192AA706572206D696E757465CB4279B76DDB540000",
  "in#pending/0 pending | 0 | in␤0000000000000005 | 9E01A2696EC705740177616974C71374017B226B223A2277616974222C2276223A377D9192A46D696E65C702740" +
    "178CB4279B76DDB92800005C0A477616974CB4279B76DDB540000CB4279B76DDB928000CB4279B76DAA80000001CB4279B77119680000",
  "in#pending/0 pending | 0 | in␤0000000000000006 | 9E01A2696EC705740177616974C71374017B226B223A2277616974222C2276223A397D9192A46D696E65C702740" +
    "178CB4279B76DDBD1000006C0A477616974CB4279B76DDB540000CB4279B76DDBD10000CB4279B76DAA8000000000",
  "per minute/0 window 60000/60000+0 n:count,total:sum,average:mean,least:min,all:collect | 1767225840000 | late | 02960104920401D7FF00F4240000" +
    "0000009182A16BA46C617465A17604CB4279B76DDB540000",
];

/** A late or dead letter. */
export interface GoldenLetter {
  readonly topic: string;
  readonly key: string | null;
  /** Milliseconds after the start. */
  readonly timestamp: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** Late letters, then dead ones; without stacks, which differ from runtime to runtime. */
export const goldenLetters: readonly GoldenLetter[] = [
  {
    topic: "in-late",
    key: "late",
    timestamp: 1000,
    headers: {
      mine: "x",
      "mr-step": "per minute",
      "mr-topic": "in",
      "mr-partition": "0",
      "mr-position": "4",
      "mr-timestamp": "1767225601000",
      "mr-origin": "in",
      "mr-at": "1767225600000",
      "mr-key": "\u00a4late",
      "mr-fingerprint": "875c6d1e",
      "mr-lateness-ms": "199000",
      "mr-missed": "[{\"start\":1767225600000,\"end\":1767225660000}]",
    },
  },
  {
    topic: "in-late",
    key: "\u0000j{\"odd\":true}",
    timestamp: 1000,
    headers: {
      mine: "x",
      "mr-step": "by oddness",
      "mr-topic": "golden-oddness-repartition",
      "mr-partition": "0",
      "mr-position": "4",
      "mr-timestamp": "1767225601000",
      "mr-origin": "in",
      "mr-at": "1767225600000",
      "mr-key": "\u0081\u00a3odd\u00c3",
      "mr-fingerprint": "cbef67c0",
      "mr-lateness-ms": "199000",
      "mr-missed": "[{\"start\":1767225600000,\"end\":1767225660000}]",
    },
  },
  {
    topic: "in-dlq",
    key: "dead",
    timestamp: 203000,
    headers: {
      mine: "x",
      "mr-step": "in-map",
      "mr-topic": "in",
      "mr-partition": "0",
      "mr-position": "7",
      "mr-timestamp": "1767225803000",
      "mr-origin": "in",
      "mr-at": "1767225601000",
      "mr-attempts": "2",
      "mr-error": "AbortError",
      "mr-message": "no more",
      "mr-fingerprint": "1d66d547",
    },
  },
];
