/** Requests name each topic once. */

/** Things by their topic, in order. */
export function byTopic<T extends { readonly topic: string }>(things: readonly T[]): [topic: string, things: T[]][] {
  const topics = new Map<string, T[]>();
  for (const thing of things) {
    const others = topics.get(thing.topic);
    if (others === undefined) topics.set(thing.topic, [thing]);
    else others.push(thing);
  }
  return [...topics];
}
