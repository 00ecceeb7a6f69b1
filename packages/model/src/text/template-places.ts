/** Where the files of a model may hold its chat template, the tokenizer's places before those of old processors. */
export const templateFiles = {
  main: 'chat_template.jinja',
  folder: 'additional_chat_templates',
  config: 'tokenizer_config.json',
  old: 'chat_template.json',
  processor: 'processor_config.json',
} as const;

/** What is looked at, for a message. */
export const templatePlaces = Object.values(templateFiles);
