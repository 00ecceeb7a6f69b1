// In this repository, where nothing is built: workers do not inherit the loader of TypeScript.
import { register } from 'tsx/esm/api';

register();
await import('./stage-worker.ts');
