/** Shown by `--version`, in node records and in status. Kept equal to package.json by a test. */
export const version = '0.1.0';
