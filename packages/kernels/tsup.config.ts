import { library } from '../../tools/tsup.js';

// The subpath `tfjs` is a build of its own: tsup.tfjs.config.ts.
export default library({ external: ['@contextlora/kernels/tfjs'] });
