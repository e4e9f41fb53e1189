/** The form of a scenario file: blocks with an empty line between them, each of commands, prose (`#`) and output below `----`. */

export interface Block {
  /** Commands and prose, as they stand. */
  readonly input: readonly string[];
  readonly commands: readonly string[];
}

export function blocksOf(text: string): readonly Block[] {
  return text
    .trimEnd()
    .split(/\n\n+/)
    .map((block) => {
      const lines = block.split('\n');
      const end = lines.indexOf('----');
      const input = end < 0 ? lines : lines.slice(0, end);
      return { input, commands: input.filter((line) => line !== '' && !line.startsWith('#')) };
    });
}

export function commandsOf(text: string): readonly string[] {
  return blocksOf(text).flatMap(({ commands }) => commands);
}
