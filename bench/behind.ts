/** Where another system is ahead of pgherd: said in the same place as the rest, and counted by the same rule for all. */
import type { FaultSummary, SystemSummary } from './summary.ts';

/** Something that is measured, of which less is better. */
interface Measure {
  readonly title: string;
  readonly valueOf: (system: SystemSummary) => number | undefined;
  readonly show: (value: number) => string;
  /** The fault that belongs to it. */
  readonly fault?: string;
}

/** A system is ahead when its median is less by more than this part; less than that is chance. */
const leastAdvantage = 0.1;

/** A line for each measure and each pgherd that is behind somebody in it. */
export function behindLines(
  systems: readonly SystemSummary[],
  faults: readonly { readonly name: string; readonly title: string }[],
): readonly string[] {
  const ours = systems.filter(({ isPgherd }) => isPgherd);
  const others = systems.filter(({ isPgherd }) => !isPgherd);
  return [...faults.flatMap(measuresOf), ...costMeasures].flatMap((measure) =>
    ours.flatMap((our) => {
      const value = measure.valueOf(our);
      if (value === undefined) return [];
      const ahead = others.filter((other) => {
        const theirs = measure.valueOf(other);
        return theirs !== undefined && theirs < value * (1 - leastAdvantage);
      });
      if (ahead.length === 0) return [];
      const shown = ahead.map(
        (other) => `${other.name} ${measure.show(measure.valueOf(other) ?? 0)}${caveat(other, measure)}`,
      );
      return [`- ${measure.title}: ${our.name} ${measure.show(value)}; ahead: ${shown.join(', ')}`];
    }),
  );
}

function caveat(system: SystemSummary, { fault }: Measure): string {
  const found = fault === undefined ? undefined : system.byFault.get(fault);
  return found?.lost !== undefined && found.lost.max > 0 ? ` (and lost ${found.lost.max})` : '';
}

/** Under that, neither a client nor a clock on a busy machine can tell. */
const noticeableMs = 100;

function seconds(milliseconds: number): string {
  return milliseconds === 0 ? `under ${seconds(noticeableMs)}` : `${(milliseconds / 1000).toFixed(2)} s`;
}

function measuresOf({ name, title }: { readonly name: string; readonly title: string }): readonly Measure[] {
  const of =
    (pick: (found: FaultSummary) => number | undefined) =>
    (system: SystemSummary): number | undefined => {
      const found = system.byFault.get(name);
      return found && pick(found);
    };
  const noticeable = (milliseconds: number | undefined): number | undefined =>
    milliseconds === undefined || milliseconds > noticeableMs ? milliseconds : 0;
  return [
    // A pause that did not end is behind all that did.
    {
      title: `${title}, write gap`,
      valueOf: of(({ gapMs, neverServed }) => (neverServed > 0 ? Number.POSITIVE_INFINITY : noticeable(gapMs.median))),
      show: seconds,
      fault: name,
    },
    {
      title: `${title}, dual primary`,
      valueOf: of(({ dualPrimaryMs }) => noticeable(dualPrimaryMs.max)),
      show: seconds,
    },
    { title: `${title}, lost commits`, valueOf: of(({ lost }) => lost?.max), show: String },
    { title: `${title}, rejoin`, valueOf: of(({ rejoinMs }) => rejoinMs?.median), show: seconds, fault: name },
  ];
}

const mebibytes = (value: number): string => `${value.toFixed(0)} MiB`;
const cpu = (value: number): string => `${value.toFixed(2)} s/min`;

const costMeasures: readonly Measure[] = [
  { title: 'memory of the agent (PSS)', valueOf: ({ cost }) => cost?.agentPssMiB, show: mebibytes },
  { title: 'CPU of the agent', valueOf: ({ cost }) => cost?.agentCpu, show: cpu },
  { title: 'CPU of the store', valueOf: ({ cost }) => cost?.storeCpu, show: cpu },
  {
    title: 'writes to the store',
    valueOf: ({ cost }) => cost?.storeWritesPerMinute,
    show: (value) => `${value.toFixed(0)}/min`,
  },
  { title: 'bootstrap', valueOf: ({ bootstrapMs }) => bootstrapMs?.median, show: seconds },
];
