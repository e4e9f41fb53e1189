/** Requests that cannot be done: refused in words, with the documented exit code, and nothing happens. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { createLoopback, type Loopback } from './loopback/cluster.ts';
import type { Member } from './loopback/member.ts';
import { runPgherd } from './loopback/processes.ts';

let lab: Loopback;
let pg1: Member;
let pg2: Member;
let pg3: Member;
let asItWas: unknown;

/** What no refused request may change: PostgreSQL's processes, history, who leads, the mode. */
async function cluster(): Promise<unknown> {
  const [one, two, three] = [await pg1.isLeader(), await pg2.isStreaming(), await pg3.isStreaming()];
  const history = await lab.pgherd(pg1, 'history');
  const postmasters = [pg1, pg2, pg3].map((member) => member.postmaster());
  return [postmasters, [one, two, three].map((answer) => [answer.timeline, answer['pause']]), history.stdout];
}

before(async () => {
  lab = await createLoopback();
  await lab.monitor.start();
  pg1 = await lab.member('pg1');
  pg2 = await lab.member('pg2');
  pg3 = await lab.member('pg3', { settings: { tags: { nofailover: true } } });
  pg1.start();
  await pg1.isLeader();
  pg2.start();
  pg3.start();
  await pg2.isStreaming();
  await pg3.isStreaming();
  asItWas = await cluster();
});
after(() => lab.end());
afterEach(async () => {
  assert.deepEqual(await cluster(), asItWas);
});

interface Refused {
  readonly name: string;
  readonly words: readonly string[];
  readonly code: 1 | 2;
  /** Of standard error. */
  readonly says: RegExp;
}

const usage: readonly Refused[] = [
  { name: 'no command at all', words: [], code: 2, says: /^Usage: pgherd \[options\] \[command\]/ },
  {
    name: 'an unknown command',
    words: ['lst'],
    code: 2,
    says: /^error: unknown command 'lst'\n\(Did you mean list\?\)/,
  },
  { name: 'an unknown flag', words: ['list', '--colour'], code: 2, says: /^error: unknown option '--colour'/ },
  {
    name: 'a format that does not exist',
    words: ['list', '--format', 'xml'],
    code: 2,
    says: /Allowed choices are pretty, tsv, json/,
  },
  {
    name: 'a role that does not exist',
    words: ['restart', 'main', '--role', 'king'],
    code: 2,
    says: /Allowed choices are leader, primary/,
  },
  { name: 'a flag without its value', words: ['switchover', '--candidate'], code: 2, says: /argument missing/ },
  { name: 'too many arguments', words: ['pause', 'main', 'more'], code: 2, says: /too many arguments/ },
  {
    name: 'a watch every no seconds',
    words: ['list', '--watch', '0'],
    code: 2,
    says: /Allowed: seconds from 0\.1 to 86400/,
  },
];

describe('wrong usage: code 2', () => {
  for (const { name, words, code, says } of usage) {
    test(name, async () => {
      const outcome = await lab.pgherd(pg1, ...words);
      assert.equal(outcome.code, code, outcome.stderr);
      assert.match(outcome.stderr, says);
      assert.equal(outcome.stdout, '');
    });
  }

  test('a cluster is named nowhere', async () => {
    const { code, stderr } = await runPgherd(['list'], { HOME: lab.folder, PATRONICTL_CONFIG_FILE: undefined });
    assert.equal(code, 2);
    assert.equal(stderr, 'Error: name the cluster, or a configuration (-c) that has its scope\n');
  });

  test('a monitor without its data directory', async () => {
    const { code, stderr } = await runPgherd(['monitor', '--listen', '127.0.0.1:5']);
    assert.equal(code, 2);
    assert.match(stderr, /required option '--pgdata <DIR>' not specified/);
  });
});

const force = '--force';
const refused: readonly Refused[] = [
  {
    name: 'switchover from a member that does not lead',
    words: ['switchover', '--leader', 'pg2', '--candidate', 'pg1', force],
    code: 1,
    says: /^Error: Member pg2 is not the leader of cluster main$/m,
  },
  {
    name: 'switchover from a member that does not exist',
    words: ['switchover', '--leader', 'pg7', '--candidate', 'pg2', force],
    code: 1,
    says: /^Error: Member pg7 is not the leader of cluster main$/m,
  },
  {
    name: 'switchover to a member that does not exist',
    words: ['switchover', '--leader', 'pg1', '--candidate', 'pg7', force],
    code: 1,
    says: /^Error: Member pg7 does not exist in cluster main or is tagged as nofailover$/m,
  },
  {
    name: 'switchover to itself',
    words: ['switchover', '--leader', 'pg1', '--candidate', 'pg1', force],
    code: 1,
    says: /^Error: Switchover target and source are the same\.$/m,
  },
  {
    name: 'switchover to a member that may not lead',
    words: ['switchover', '--leader', 'pg1', '--candidate', 'pg3', force],
    code: 1,
    says: /^Error: Member pg3 does not exist in cluster main or is tagged as nofailover$/m,
  },
  {
    name: 'failover to nobody in particular',
    words: ['failover', force],
    code: 1,
    says: /^Error: Failover could be performed only to a specific candidate$/m,
  },
  {
    name: 'failover to the leader',
    words: ['failover', '--candidate', 'pg1', force],
    code: 1,
    says: /^Error: Member pg1 is already the leader$/m,
  },
  {
    name: 'restart of an unknown member',
    words: ['restart', 'main', 'pg7', force],
    code: 1,
    says: /^Error: No member pg7 in cluster main; its members: pg1, pg2, pg3$/m,
  },
  {
    name: 'restart of a member that has not this role',
    words: ['restart', 'main', 'pg2', '--role', 'leader', force],
    code: 1,
    says: /^Error: No member pg2 with the role leader in cluster main; its members: pg1, pg2, pg3$/m,
  },
  {
    name: 'restart of those that wait for one, when none does',
    words: ['restart', 'main', '--pending', force],
    code: 1,
    says: /^Error: No members wait for a restart$/m,
  },
  {
    name: 'reinit of the leader',
    words: ['reinit', 'main', 'pg1', force],
    code: 1,
    says: /^Error: pg1 is the leader; switch over first, then reinitialize it$/m,
  },
  {
    name: 'reinit of an unknown member',
    words: ['reinit', 'main', 'pg7', force],
    code: 1,
    says: /^Error: No member pg7 in cluster main; its members: pg1, pg2, pg3$/m,
  },
  {
    name: 'reinit of nobody in particular',
    words: ['reinit', 'main', force],
    code: 1,
    says: /^Error: name the member to reinitialize: all of its data is replaced$/m,
  },
  {
    name: 'resume of what is not paused',
    words: ['resume'],
    code: 1,
    says: /^Error: Cluster is not paused$/m,
  },
  {
    name: 'pause of an unknown cluster',
    words: ['pause', 'nowhere'],
    code: 1,
    says: /^Error: cluster nowhere is not in the DCS, or is only being made: there is nothing to pause$/m,
  },
  {
    name: 'switchover of an unknown cluster',
    words: ['switchover', 'nowhere', force],
    code: 1,
    says: /^Error: This cluster has no leader$/m,
  },
  {
    name: 'restart of an unknown cluster',
    words: ['restart', 'nowhere', force],
    code: 1,
    says: /^Error: cluster nowhere has no members; the first argument is the cluster, members follow$/m,
  },
];

describe('what cannot be done: code 1', () => {
  for (const { name, words, code, says } of refused) {
    test(name, async () => {
      const outcome = await lab.pgherd(pg1, ...words);
      assert.equal(outcome.code, code, outcome.stdout + outcome.stderr);
      assert.match(outcome.stderr, says);
    });
  }

  test('list and history of an unknown cluster: an empty table, and that there is none', async () => {
    const list = await lab.pgherd(pg1, 'list', 'nowhere');
    assert.equal(list.code, 0);
    assert.match(list.stdout, /^\+ Cluster: nowhere \(uninitialized\)/);
    const history = await lab.pgherd(pg1, 'history', 'nowhere', '--format', 'json');
    assert.equal(history.code, 0);
    assert.equal(history.stdout, '[]\n');
    for (const { stderr } of [list, history]) {
      assert.equal(stderr, 'The DCS knows no cluster nowhere (namespace /service).\n');
    }
  });

  test('pause twice, and then resume', async () => {
    const first = await lab.pgherd(pg1, 'pause', '--wait');
    assert.equal(first.code, 0, first.stderr);
    const second = await lab.pgherd(pg1, 'pause');
    assert.equal(second.code, 1);
    assert.equal(second.stderr, 'Error: Cluster is already paused\n');
    const resumed = await lab.pgherd(pg1, 'resume', '--wait');
    assert.equal(resumed.code, 0, resumed.stderr);
  });
});

describe('without a terminal and without --force nothing is done: code 1', () => {
  const asking: readonly (readonly string[])[] = [
    ['switchover', '--leader', 'pg1', '--candidate', 'pg2'],
    ['switchover'],
    ['failover', '--candidate', 'pg2'],
    ['restart', 'main', 'pg2'],
    ['reinit', 'main', 'pg2'],
  ];
  for (const words of asking) {
    test(words.join(' '), async () => {
      const { code, stderr } = await lab.pgherd(pg1, ...words);
      assert.equal(code, 1);
      assert.equal(stderr, 'Error: nobody is there to confirm it; add --force, or run it on a terminal\n');
    });
  }
});

describe('the REST API refuses the same', () => {
  const posts: readonly (readonly [path: string, body: string | undefined, status: number, text: RegExp])[] = [
    ['/switchover', '{"leader":"pg2"}', 412, /^leader name does not match$/],
    ['/switchover', '{"leader":"pg1","candidate":"pg7"}', 412, /^candidate does not exists$/],
    ['/switchover', '{"leader":"pg1","candidate":"pg1"}', 400, /^Switchover target and source are the same$/],
    ['/switchover', '{"candidate":"pg2"}', 400, /^Switchover could be performed only from a specific leader$/],
    ['/switchover', 'leader=pg1', 400, /JSON object/],
    ['/switchover', undefined, 400, /JSON object/],
    ['/failover', '{"candidate":"pg3"}', 412, /^pg3 is tagged nofailover$/],
    ['/failover', '{"leader":"pg1"}', 400, /^Failover could be performed only to a specific candidate$/],
    ['/reinitialize', undefined, 503, /^I am the leader, can not reinitialize$/],
    ['/restart', '{"role":"replica"}', 503, /^restart conditions are not satisfied$/],
    ['/promote', '{}', 501, /Unsupported method/],
  ];
  for (const [path, body, status, text] of posts) {
    test(`POST ${path} ${body ?? ''}`, async () => {
      const init = { method: 'POST', signal: AbortSignal.timeout(5000) };
      const answer = await fetch(`${pg1.apiUrl}${path}`, body === undefined ? init : { ...init, body });
      const said = await answer.text();
      assert.equal(answer.status, status, said);
      assert.match(said, text);
    });
  }
});
