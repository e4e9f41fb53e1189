/**
 * Makes src/dcs/etcd/messages.ts of what the protocol buffers' compiler makes of src/dcs/etcd/etcd.proto. Run by hand after a
 * change of that file, with the compiler's packages beside (they are too large to be dependencies):
 *
 *   npm exec -p @bufbuild/buf@1.75.0 -p @bufbuild/protoc-gen-es@2.17.0 -- buf generate src/dcs/etcd \
 *     --template '{"version": "v2", "plugins": [{"local": "protoc-gen-es", "out": "MADE", "opt": ["target=ts"]}]}'
 *   node build/etcd-messages.ts MADE/etcd_pb.ts && biome check --write src/dcs/etcd/messages.ts
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const head = `/**
 * The messages and services of etcd.proto, which says what they are. Made by the protocol buffers' compiler and
 * build/etcd-messages.ts: not to be edited.
 */
`;

/** The code without the comments in it, which repeat it, and without what nobody needs. */
function condensed(code: string): string {
  const short = code
    .replace(/^(?:\/\/[^\n]*\n|\/\*[^\n]*\*\/\n|\n)+/, '')
    .replaceAll(/^ +\/\*\*\n(?: +\*[^\n]*\n)+/gm, '')
    .replaceAll(/\/\*\*\n \* @generated from (message|service) \w+\.(\w+)\n \*\//g, '/** The $1 `$2`. */')
    .replaceAll(/\/\*\*\n \* Describes the [^/]*\*\/\n/g, '')
    .replaceAll(/(^ .*)\n\n(?= )/gm, '$1\n')
    .replaceAll(/\/\*@__PURE__\*\/\s+/g, '');
  // Only what a service takes or gives is made or read by its schema.
  return short.replaceAll(/export const (\w+): GenMessage<.*\n?.*;\n/g, (line: string, schema: string) =>
    short.includes(`typeof ${schema};`) ? line : '',
  );
}

const [, , made] = process.argv;
if (made === undefined) throw new Error('usage: node build/etcd-messages.ts MADE/etcd_pb.ts');
const target = join(import.meta.dirname, '..', 'src', 'dcs', 'etcd', 'messages.ts');
writeFileSync(target, head + condensed(readFileSync(made, 'utf8')));
