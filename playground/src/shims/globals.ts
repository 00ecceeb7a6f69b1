/** Globals of Node that the packages use. */
import { Buffer as BufferOfPage } from 'buffer';
import processOfPage from 'process';

const started = performance.now();
const process = Object.assign(processOfPage, {
  cpuUsage: (before = { user: 0, system: 0 }) => ({
    user: (performance.now() - started) * 1000 - before.user,
    system: -before.system,
  }),
});
export { BufferOfPage as Buffer, process };
