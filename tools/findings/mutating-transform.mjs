/** Jest's transform of TypeScript, with a piece of one file replaced; nothing on the disk changes. */
import swc from '@swc/jest';

export default {
  createTransformer({ mutant: { path, from, to }, ...options }) {
    const inner = swc.default?.createTransformer(options) ?? swc.createTransformer(options);
    const mutated = (source, of) => (of === path ? source.replace(from, () => to) : source);
    return {
      ...inner,
      process: (source, of, more) => inner.process(mutated(source, of), of, more),
      processAsync: (source, of, more) => inner.processAsync(mutated(source, of), of, more),
      getCacheKey: (source, of, more) => inner.getCacheKey(mutated(source, of), of, more),
    };
  },
};
