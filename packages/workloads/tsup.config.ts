import { library } from '../../tools/tsup.js';

export default library({ entry: { index: 'src/index.ts', 'stage-worker': 'src/pipeline/stage-worker.ts' } });
