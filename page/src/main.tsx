import { createRoot } from "react-dom/client";
import { App } from "./app";
import "./style/base.css";
import "./style/layout.css";
import "./style/tabs.css";
import "./style/threads.css";
import "./style/chat.css";
import "./style/panels.css";
import "./style/tables.css";
import "./style/operations.css";
import "./style/runs.css";
import "./style/commands.css";
import "./style/clients.css";

const root = document.getElementById("root");
if (root) createRoot(root).render(<App />);
