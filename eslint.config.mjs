import eslint from '@eslint/js';
import prettier from 'eslint-config-prettier';
import tseslint from 'typescript-eslint';

const learning = ['task-graph', 'lora', 'kernels', 'model', 'trainer'];
const bothHalves = [...learning, 'scheduler', 'jetson', 'runtime'];
const flows = [...bothHalves, 'workloads', 'finetune'];

/** Which workspace package may import which. Anything absent here is an error. */
const layers = {
  'task-graph': [],
  lora: [],
  kernels: [],
  model: ['lora', 'kernels'],
  trainer: ['task-graph', 'lora'],
  scheduler: [],
  jetson: ['scheduler'],
  runtime: ['scheduler'],
  workloads: bothHalves,
  finetune: ['task-graph', 'lora', 'model', 'trainer'],
  dashboard: ['task-graph', 'lora', 'scheduler', 'finetune'],
  serve: ['task-graph', 'lora', 'model', 'trainer', 'finetune'],
  benchmarks: flows,
  cli: [...flows, 'serve', 'benchmarks', 'dashboard'],
  contextlora: [...flows, 'serve', 'benchmarks', 'dashboard', 'cli'],
};
const names = Object.keys(layers);

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/coverage/**',
      '.nx/**',
      'demo-output/**',
      'tools/base-model/build/**',
      'packages/kernels/assembly/*.ts',
      'packages/kernels/src/wasm/code.ts',
    ],
  },
  eslint.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: true,
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // Loops over typed arrays index within bounds by construction; a check per element would cost what they save.
      '@typescript-eslint/no-non-null-assertion': 'off',
      // Numbers in messages are what messages are for.
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
    },
  },
  ...names.map((name) => ({
    files: [`packages/${name}/src/**/*.{ts,tsx}`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: names
                .filter((n) => n !== name && !layers[name].includes(n))
                .flatMap((n) => (n === 'contextlora' ? [n] : [`@contextlora/${n}`, `@contextlora/${n}/*`])),
              message: `not in the layers of ${name} (eslint.config.mjs)`,
            },
            {
              group: ['@contextlora/*/src/*', '@contextlora/*/dist/*', '../../*/src/*'],
              message: 'import the public entry point',
            },
            { regex: '(^|/)index\\.js$', message: 'index.ts only re-exports; import the file itself' },
          ].filter((p) => !p.group || p.group.length > 0),
        },
      ],
    },
  })),
  {
    files: ['packages/jetson/src/**/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: ['@contextlora/scheduler'],
              allowTypeImports: true,
              message: 'jetson uses types of it only',
            },
          ],
        },
      ],
    },
  },
  {
    files: ['**/*.{mjs,js}'],
    ...tseslint.configs.disableTypeChecked,
    languageOptions: {
      ...tseslint.configs.disableTypeChecked.languageOptions,
      globals: {
        process: 'readonly',
        console: 'readonly',
        fetch: 'readonly',
        URL: 'readonly',
        Buffer: 'readonly',
      },
    },
  },
  {
    // tfjs operations return whatever rank they are told to: a type argument there is a cast in other words.
    files: ['packages/kernels/**/*.ts'],
    rules: { '@typescript-eslint/no-unnecessary-type-assertion': 'off' },
  },
  prettier,
);
