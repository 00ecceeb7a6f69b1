/** A sample of a machine on a terminal. */
import { type DeviceSample, hottestOf } from '@contextlora/jetson';

/** One line per sample; `–` means unknown. */
export function describeSample({ board, load, memory, power, temperatures, clocks }: DeviceSample): string {
  const whole = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(0));
  const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0);
  const hottest = hottestOf(temperatures);
  return [
    [board.profile ?? board.model ?? 'unknown machine', board.powerMode?.name].filter(Boolean).join(' '),
    `CPU ${whole(load.cpuPercent)} %`,
    `GPU ${whole(load.gpuPercent)} %${clocks.gpuHertz === undefined ? '' : ` at ${whole(clocks.gpuHertz / 1e6)} MHz`}`,
    memory
      ? `RAM ${megabytes(memory.totalBytes - memory.availableBytes)}/${megabytes(memory.totalBytes)} MB`
      : 'RAM –',
    power.total ? `${power.total.watts.toFixed(1)} W (${power.total.from})` : '– W',
    hottest ? `${hottest.celsius.toFixed(1)} °C (${hottest.sensor})` : '– °C',
  ].join('  ');
}
