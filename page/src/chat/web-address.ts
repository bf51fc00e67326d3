/** Only addresses that a click may safely follow. */
export const isWebAddress = (url: string): boolean => /^https?:\/\//i.test(url);
