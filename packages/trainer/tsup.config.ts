import { library } from '../../tools/tsup.js';

export default library({
  // One entry per subpath export.
  entry: {
    index: 'src/index.ts',
    files: 'src/files/index.ts',
  },
});
