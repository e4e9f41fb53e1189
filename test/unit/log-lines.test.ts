import assert from 'node:assert/strict';
import test from 'node:test';
import { lsn } from '../../src/core/lsn.ts';
import { chooseForm, createLog, type Fields, type Form, type Level, parseLevel } from '../../src/lib/log.ts';

const now = (): Date => new Date('2026-11-20T08:52:02.188Z');

/** One line, without its end. */
function line(form: Form, text: string, fields: Fields = {}, level: Exclude<Level, 'debug'> = 'info'): string {
  const lines: string[] = [];
  const log = createLog({ member: 'pg1', form, now, sink: { write: (written) => lines.push(written) > 0 } });
  log[level]('lease-renewed', text, fields);
  assert.equal(lines.length, 1);
  const [only = ''] = lines;
  assert.ok(only.endsWith('\n') && only.indexOf('\n') === only.length - 1, 'one line');
  return only.slice(0, -1);
}

/** Runs with a local time zone. */
function inZone(zone: string, run: () => void): void {
  const before = process.env['TZ'];
  process.env['TZ'] = zone;
  try {
    run();
  } finally {
    if (before === undefined) delete process.env['TZ'];
    else process.env['TZ'] = before;
  }
}

test('text, in local time with its offset', () => {
  const tail = 'lease-renewed: it holds  member=pg1 term=4';
  inZone('UTC', () =>
    assert.equal(line('text', 'it holds', { term: 4 }), `2026-11-20 08:52:02.188+00:00 INFO  ${tail}`),
  );
  inZone('Asia/Kolkata', () =>
    assert.equal(line('text', 'it holds', { term: 4 }, 'error'), `2026-11-20 14:22:02.188+05:30 ERROR ${tail}`),
  );
  inZone('America/St_Johns', () =>
    assert.equal(line('text', 'it holds', { term: 4 }, 'warn'), `2026-11-20 05:22:02.188-03:30 WARN  ${tail}`),
  );
});

test('fields: LSNs, numbers, texts that need quotes, errors, structures, nothing', () => {
  const fields = {
    walLsn: lsn(0x3000088),
    lagBytes: 2n ** 60n,
    empty: '',
    spaced: 'two words',
    plain: 'word',
    failure: new Error('no route'),
    list: [lsn(1)],
    nested: { flushLsn: lsn(0x3000088), bytes: 5n },
    none: undefined,
    nil: null,
    no: false,
  };
  assert.equal(
    line('journal', 'text', fields),
    '<6>lease-renewed: text  member=pg1 walLsn=0/3000088 lagBytes=1152921504606846976 empty="" spaced="two words" plain=word failure="no route" list=[1] nested={"flushLsn":"0/3000088","bytes":5} nil=null no=false',
  );
});

test('journald’s levels', () => {
  assert.match(line('journal', 'x', {}, 'error'), /^<3>lease-renewed: x/);
  assert.match(line('journal', 'x', {}, 'warn'), /^<4>/);
});

test('JSON: every line has five fields that no other takes the place of', () => {
  inZone('UTC', () => {
    const text = line('json', 'it holds', { event: 'other', walLsn: lsn(0x3000088), far: 2n ** 60n, none: undefined });
    assert.equal(
      text,
      '{"time":"2026-11-20T08:52:02.188+00:00","level":"info","member":"pg1","event":"lease-renewed","text":"it holds","event_":"other","walLsn":"0/3000088","far":1152921504606846976}',
    );
  });
});

test('colour, and only then', () => {
  assert.ok(line('color', 'x', {}, 'error').includes('\u001b[31mERROR\u001b[0m'));
  assert.ok(!line('text', 'x', {}, 'error').includes('\u001b'));
});

test('nothing that is logged ends the line or gives orders to a terminal', () => {
  const nasty = 'a\nb\r\u001b[2J\u009b2J\u2028c';
  for (const form of ['text', 'color', 'journal', 'json'] as const) {
    const written = line(form, nasty, { value: nasty });
    // oxlint-disable-next-line no-control-regex -- what the test is about
    assert.doesNotMatch(written.replaceAll(/\u001b\[\d+m/g, ''), /[\u0000-\u001f\u007f-\u009f\u2028]/, form);
  }
  assert.equal(JSON.parse(line('json', nasty)).text.length > 0, true);
});

test('what cannot be printed is no reason to throw', () => {
  const circular: Record<string, unknown> = {};
  circular['self'] = circular;
  const hostile = { toJSON: () => assert.fail('no') };
  for (const form of ['text', 'json'] as const) {
    const written = line(form, 'x', { circular, hostile, code: () => 1, negativeLsn: -1n, symbol: Symbol('s') });
    assert.match(written, /\(unprintable\)/);
    assert.match(written, /lease-renewed/);
    if (form === 'json') assert.equal(JSON.parse(written).negativeLsn, '-1');
  }
});

test('levels, also while it runs', () => {
  const lines: string[] = [];
  const log = createLog({
    member: 'm',
    form: 'journal',
    level: 'warn',
    sink: { write: (text) => lines.push(text) > 0 },
  });
  const all = (): void => {
    log.error('e', '');
    log.warn('w', '');
    log.info('i', '');
    log.debug('d', '');
  };
  const levels = (): string[] => lines.splice(0).map((text) => text.slice(1, 2));
  all();
  assert.deepEqual(levels(), ['3', '4']);
  log.setLevel('debug');
  all();
  assert.deepEqual(levels(), ['3', '4', '6', '7']);
  log.setLevel('error');
  all();
  assert.deepEqual(levels(), ['3']);
});

test('levels by name, Patroni’s too', () => {
  const names = ['DEBUG', 'info', 'Warning', 'WARN', 'ERROR', 'critical', 'loud', ''];
  assert.deepEqual(names.map(parseLevel), ['debug', 'info', 'warn', 'warn', 'error', 'error', undefined, undefined]);
});

test('the form: journald by its own word, colour on a terminal that has it', () => {
  assert.equal(chooseForm({ JOURNAL_STREAM: '9:42' }, false, '9:42'), 'journal');
  // Inherited: stderr was sent elsewhere since.
  assert.equal(chooseForm({ JOURNAL_STREAM: '9:42' }, false, '9:43'), 'text');
  assert.equal(chooseForm({ JOURNAL_STREAM: '' }, false, undefined), 'text');
  assert.equal(chooseForm({}, true, '1:1'), 'color');
  assert.equal(chooseForm({ NO_COLOR: '1' }, true, '1:1'), 'text');
  assert.equal(chooseForm({ NO_COLOR: '' }, true, '1:1'), 'color');
  assert.equal(chooseForm({ TERM: 'dumb' }, true, '1:1'), 'text');
  assert.equal(chooseForm({}, false, '1:1'), 'text');
});

test('lines that found no room are counted, and the count is told when there is room again', () => {
  const lines: string[] = [];
  let room = false;
  const sink = { write: (text: string) => room && lines.push(text) > 0 };
  const log = createLog({ member: 'm', form: 'journal', sink });
  log.info('one', '');
  log.info('two', '');
  log.debug('below', 'the level: not lost');
  room = true;
  log.info('three', '');
  log.info('four', '');
  assert.equal(lines.length, 2);
  assert.match(lines[0] ?? '', /^<4>log-lines-lost: .*lost=2\n<6>three: .*\n$/);
  assert.match(lines[1] ?? '', /^<6>four: .*\n$/);
});
