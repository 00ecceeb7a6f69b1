import { library } from '../../tools/tsup.js';

export default library({
  entry: { index: 'src/index.ts', views: 'src/views/index.ts', peers: 'src/peers/index.ts' },
});
