/** What only `statecast dev` has. */
import { Signal } from "../agent/signal";
import { post } from "./requests";

/** Whether the server is one for development, on this machine. */
export const isDev = new Signal(false);

/** Kill the process of the server; its parent starts it again. */
export const kill = async (): Promise<void> => {
  try {
    await post("dev/restart", {});
  } catch (error) {
    // It may die before it has answered.
    if (!(error instanceof TypeError)) throw error;
  }
};
