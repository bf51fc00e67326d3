"use client";
// @ts-self-types="./react.d.ts"
// Built from packages/react by `npm run build`; change it there.
import { fromThreadMessageLike, useExternalStoreRuntime } from "@assistant-ui/react";
import { useCallback, useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import { createAdapters } from "./adapters.js";
import { Refused, Refused as Refused$1, connect } from "./client.js";
// src/messages.ts
/**
* From a thread to the messages that assistant-ui shows: those of its state, those that wait in the server's queue, and those
* that are on their way there.
*
* A message that did not change keeps its converted form, so that only what grows is drawn again.
*/
var RUNNING = { type: "running" };
var ASKING = {
	type: "requires-action",
	reason: "tool-calls"
};
var COMPLETE = {
	type: "complete",
	reason: "unknown"
};
var CANCELLED = {
	type: "incomplete",
	reason: "cancelled"
};
var INTERRUPTED = {
	type: "incomplete",
	reason: "other"
};
var SHOWN = /* @__PURE__ */ new Set([
	"text",
	"reasoning",
	"image",
	"file",
	"source",
	"data",
	"audio",
	"tool-call",
	"generative-ui"
]);
var STOPPED = "Stopped before it had a result";
var partsOf = ({ parts, content }) => parts ?? (typeof content === "string" ? [{
	type: "text",
	text: content
}] : content) ?? [];
/** Whether a part is a call that a client may give a result. */
var isOpen = (part) => part.type === "tool-call" && part["result"] === void 0 && part["cutOff"] !== true;
/** Return a part that assistant-ui can show: one of a type that it does not know is data under that name. */
var shownPart = (part) => {
	if (part.type === "tool-call" && part["cutOff"] === true) return {
		...part,
		result: STOPPED,
		isError: true
	};
	if (SHOWN.has(part.type) || part.type.startsWith("data-")) return part;
	return {
		type: "data",
		name: part.type,
		data: part
	};
};
var dateOf = (value) => {
	const date = typeof value === "string" || typeof value === "number" ? new Date(value) : void 0;
	return date && !Number.isNaN(date.getTime()) ? date : void 0;
};
var likeOf = (message, id) => {
	const { role, metadata } = message;
	const content = partsOf(message).map(shownPart);
	const text = content.map((part) => "text" in part ? part.text : "").join("\n");
	const createdAt = dateOf(message.createdAt);
	return {
		id,
		role,
		content: role === "system" ? [{
			type: "text",
			text
		}] : content,
		...createdAt && { createdAt },
		...metadata && (role === "assistant" ? { metadata } : { metadata: { custom: metadata.custom ?? {} } })
	};
};
var isSameStatus = (one, other) => one === other || one.type === other.type && JSON.stringify(one) === JSON.stringify(other);
var converted = /* @__PURE__ */ new WeakMap();
var convert = (message, index, status = COMPLETE) => {
	const known = converted.get(message);
	if (known && (message.role !== "assistant" || isSameStatus(known.status, status))) return known.message;
	const id = message.id ?? `message-${index}`;
	const made = fromThreadMessageLike(likeOf(message, id), id, status);
	converted.set(message, {
		status,
		message: made
	});
	return made;
};
/** How the last answer stands, by its run. */
var statusOf = (message, run, isRunning) => {
	const own = message.status;
	if (isRunning) return RUNNING;
	if (run?.error) return {
		type: "incomplete",
		reason: "error",
		error: run.error.message
	};
	if (partsOf(message).some(isOpen)) return ASKING;
	if (own) return own;
	if (run?.status === "cancelled") return CANCELLED;
	return run?.status === "interrupted" ? INTERRUPTED : COMPLETE;
};
/** Return the messages with the results that are on their way. */
var withResults = (messages, commands) => {
	const results = new Map(commands.filter(({ type }) => type === "add-tool-result").map((command) => [command["toolCallId"], command]));
	if (results.size === 0) return messages;
	const answered = (part) => {
		const command = results.get(part["toolCallId"]);
		return command && isOpen(part) ? {
			...part,
			result: command["result"] ?? null,
			isError: command["isError"] === true
		} : part;
	};
	return messages.map((message) => {
		const parts = partsOf(message);
		return parts.some((part) => isOpen(part) && results.has(part["toolCallId"])) ? {
			...message,
			parts: parts.map(answered)
		} : message;
	});
};
var sentIn = (commands) => commands.filter(({ type }) => type === "add-message").map((command) => ({
	message: command["message"],
	parentId: command["parentId"] ?? null,
	sourceId: command["sourceId"] ?? null
}));
var optimistic = /* @__PURE__ */ new WeakMap();
/** Return a message that is not in the state yet; `queued`: the server has it, and a run goes on before it. */
var sentMessage = (message, queued) => {
	const both = optimistic.get(message) ?? /* @__PURE__ */ new Map();
	optimistic.set(message, both);
	const known = both.get(queued);
	if (known) return known;
	const id = message.id ?? "sent";
	const like = {
		...likeOf(message, id),
		metadata: { custom: { queued } }
	};
	const made = fromThreadMessageLike({
		...like,
		metadata: {
			...like.metadata,
			isOptimistic: true
		}
	}, id, RUNNING);
	both.set(queued, made);
	return made;
};
/** Return the conversation, in order. */
function conversationOf({ state, run, isRunning, parts, pending, queued }, stored) {
	const messages = withResults(state === null ? [] : stored, pending);
	const shown = messages.map((message, index) => {
		return {
			message: convert(message, index, (index === messages.length - 1 && message.role === "assistant" ? statusOf(message, run, isRunning && parts.length === 0) : void 0) ?? message.status),
			stored: message
		};
	});
	if (parts.length > 0 && run) {
		const emitted = emittedMessage(parts, run.id);
		shown.push({
			message: convert(emitted, shown.length, statusOf(emitted, run, isRunning)),
			stored: emitted
		});
	}
	const waiting = queued.flatMap(({ commands }) => commands ?? []);
	const known = new Set(shown.map(({ message }) => message.id));
	for (const [commands, isQueued] of [[waiting, true], [pending, isRunning]]) for (const { message, parentId, sourceId } of sentIn(commands)) {
		if (!(message.id === void 0 || !known.has(message.id)) && sourceId === null) continue;
		if (sourceId !== null && !isQueued) shown.length = shown.findIndex(({ message: { id } }) => id === parentId) + 1;
		if (message.id !== void 0) known.add(message.id);
		shown.push({
			message: sentMessage(message, isQueued),
			stored: message
		});
	}
	return shown;
}
var emitted = /* @__PURE__ */ new WeakMap();
/** Return what a run has said outside the state as a message. */
var emittedMessage = (parts, runId) => {
	const known = emitted.get(parts);
	if (known) return known;
	const message = {
		id: `parts-${runId}`,
		role: "assistant",
		parts
	};
	emitted.set(parts, message);
	return message;
};
/** Where a state has its messages unless the page says otherwise. */
var usualMessages = (state) => {
	const messages = state?.messages;
	return Array.isArray(messages) ? messages : void 0;
};
function messagesOf$1(state, messages = usualMessages) {
	return ((state === null ? void 0 : messages(state)) ?? []).map((message, index) => convert(message, index, message.status));
}
// src/branches.ts
var Tree = class {
	/** Of the time before, oldest first. */
	#last = [];
	/**
	* Return all messages, parents first.
	*
	* What an edit drops is missing from the state until its run has noted it. It stays meanwhile, or it would come back as the
	* newest branch.
	*
	* @param branches What the agent keeps; undefined if it keeps none.
	* @param isRunning Whether a run goes on, or commands are on their way to one.
	*/
	repositoryOf(shown, branches, isRunning) {
		const before = branches !== void 0 && isRunning ? this.#last : [];
		const nodes = new Map(before.map((node) => [node.id, node]));
		for (const { id, parentId, message } of branches ?? []) nodes.set(id, {
			id,
			parentId,
			message: message ?? nodes.get(id)?.message ?? null
		});
		const own = /* @__PURE__ */ new Map();
		shown.forEach(({ message, stored }, index) => {
			const parentId = shown[index - 1]?.message.id ?? null;
			own.set(message.id, message);
			nodes.set(message.id, {
				id: message.id,
				parentId,
				message: stored
			});
		});
		this.#last = [...nodes.values()];
		const children = /* @__PURE__ */ new Map();
		for (const node of nodes.values()) {
			const siblings = children.get(node.parentId);
			if (siblings) siblings.push(node);
			else children.set(node.parentId, [node]);
		}
		const messages = [];
		const stack = [...children.get(null) ?? []].reverse();
		for (let node = stack.pop(); node; node = stack.pop()) {
			if (!node.message) continue;
			messages.push({
				message: own.get(node.id) ?? convert(node.message, messages.length),
				parentId: node.parentId
			});
			stack.push(...[...children.get(node.id) ?? []].reverse());
		}
		return {
			headId: shown.at(-1)?.message.id ?? null,
			messages
		};
	}
};
/** Return the branches of a state. */
var branchesOf = (state) => {
	const branches = state?.branches;
	const isBranch = (one) => typeof one?.id === "string";
	return Array.isArray(branches) ? branches.filter(isBranch) : [];
};
// src/connection.ts
/** The thread of `client.js` behind the hook, and how long it is followed. */
/** Where a relative address would lead on a server, which asks nothing. */
var NOWHERE = "http://localhost/";
/** The server's address. */
var addressOf$1 = (url) => new URL(url || "/", globalThis.location?.href ?? NOWHERE).href;
/** The latest of a value, for what is called later. */
function useLatest(value) {
	const latest = useRef(value);
	useEffect(() => {
		latest.current = value;
	});
	return latest;
}
/**
* Follow a thread while the page is seen, or while something goes on in it.
*
* A browser opens six connections to one server, over all tabs: a tab in the background has none while it is idle.
*/
function subscribe(thread, listener) {
	let isFollowing = false;
	let leave;
	const look = () => {
		const { cursor, isRunning, pending, connection } = thread.getSnapshot();
		const isKnown = cursor !== null || connection === "unknown";
		const isWanted = !document.hidden || !isKnown || isRunning || pending.length > 0;
		if (isWanted === isFollowing) return;
		isFollowing = isWanted;
		if (isWanted) leave = thread.subscribe(changed);
		else leave?.();
	};
	const changed = () => {
		listener();
		look();
	};
	document.addEventListener("visibilitychange", look);
	look();
	return () => {
		document.removeEventListener("visibilitychange", look);
		isFollowing = false;
		leave?.();
	};
}
function useThread(options, { id, isNew }) {
	const { url, agent, webSocket = false } = options;
	const latest = useLatest(options);
	const thread = useMemo(() => connect(addressOf$1(url), id, {
		...agent !== void 0 && { agent },
		webSocket: webSocket && typeof WebSocket !== "undefined",
		isNew,
		headers: () => headersOf(latest.current.headers),
		fetch: (...request) => (latest.current.fetch ?? fetch)(...request),
		onFrame: (frame) => latest.current.onFrame?.(frame)
	}), [
		url,
		id,
		agent,
		webSocket,
		isNew,
		latest
	]);
	const follow = useCallback((listener) => subscribe(thread, listener), [thread]);
	return {
		thread,
		snapshot: useSyncExternalStore(follow, thread.getSnapshot, thread.getSnapshot)
	};
}
/** What `headers` stands for at this moment. */
var headersOf = (headers) => (typeof headers === "function" ? headers() : headers) ?? {};
// src/identity.ts
/**
* Which thread is shown: the one that the page names, or that its address names, or a new one.
*
* A new thread is in the address as soon as something is sent to it; before that there is nothing to come back to.
*/
var SHAPE = /^[A-Za-z0-9_.:~-]{1,128}$/;
/** `crypto.randomUUID` is missing outside secure contexts; random bytes are not. */
var freshPlace = () => {
	const bytes = crypto.getRandomValues(/* @__PURE__ */ new Uint8Array(10));
	return {
		id: `thr_${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`,
		isNew: true
	};
};
var isBrowser = typeof window !== "undefined";
var inAddress = (param) => {
	const named = isBrowser && param !== void 0 ? new URLSearchParams(location.search).get(param) : null;
	return named !== null && SHAPE.test(named) ? named : null;
};
var placeIn = (param) => {
	const named = inAddress(param);
	return named === null ? freshPlace() : {
		id: named,
		isNew: false
	};
};
var addressOf = (param, id) => {
	const address = new URL(location.href);
	if (id === null) address.searchParams.delete(param);
	else address.searchParams.set(param, id);
	return address;
};
/**
* The state of the history entry, as the page's router finds it again behind a new address.
*
* Next.js takes a state with its mark for one of its own calls: it would not note the new address, and later put the old
* one back. It adds the mark by itself.
*/
var keptState = () => {
	const state = history.state;
	return typeof state === "object" && state !== null && "__NA" in state ? {
		...state,
		__NA: void 0
	} : state;
};
function useIdentity(given, isNew, param, onChange) {
	const [own, setOwn] = useState(() => placeIn(param));
	const place = useMemo(() => {
		if (given === void 0) return own;
		return {
			id: given,
			isNew: isNew || given === own.id && own.isNew
		};
	}, [
		given,
		isNew,
		own
	]);
	useEffect(() => {
		if (param === void 0 || given !== void 0) return void 0;
		const moved = () => setOwn((now) => inAddress(param) === now.id ? now : placeIn(param));
		window.addEventListener("popstate", moved);
		return () => window.removeEventListener("popstate", moved);
	}, [param, given]);
	const keep = useCallback(() => {
		if (param !== void 0 && inAddress(param) !== place.id) history.replaceState(keptState(), "", addressOf(param, place.id));
	}, [param, place.id]);
	const go = useCallback((next) => {
		setOwn(next);
		onChange?.(next.id);
		if (param !== void 0) history.pushState(null, "", addressOf(param, next.isNew ? null : next.id));
	}, [param, onChange]);
	const open = useCallback((id) => go({
		id,
		isNew: false
	}), [go]);
	const create = useCallback(() => go(freshPlace()), [go]);
	return {
		...place,
		open,
		create,
		keep
	};
}
var never = () => () => {};
/** Whether the page has taken over what a server has rendered: from then on it may show what only a browser knows. */
var useIsHydrated = () => useSyncExternalStore(never, () => true, () => false);
// src/model-context.ts
/** Return parameters as a JSON Schema: they are one, or of a library that can say them as one. */
var schemaOf = (parameters) => {
	if (typeof parameters !== "object" || parameters === null) return void 0;
	const standard = parameters["~standard"];
	return standard === void 0 ? parameters : standard.jsonSchema?.input({ target: "draft-07" });
};
/** Return the fields of a request that tell the agent of it. */
var contextFields = (runtime) => {
	const { system, tools, callSettings, config } = runtime.thread.getModelContext();
	const described = Object.entries(tools ?? {}).flatMap(([name, tool]) => {
		if (tool.type === "backend" || tool.disabled) return [];
		const { description, parameters } = tool;
		return [[name, {
			...description !== void 0 && { description },
			parameters: schemaOf(parameters) ?? {}
		}]];
	});
	return {
		...system !== void 0 && { system },
		...described.length > 0 && { tools: Object.fromEntries(described) },
		...callSettings !== void 0 && { callSettings },
		...config !== void 0 && { config }
	};
};
// src/questions.ts
/** The tool that `run.approval` calls. */
var APPROVAL = "approval";
var KINDS = /* @__PURE__ */ new Set([
	"approval",
	"choice",
	"text",
	"input"
]);
var asFields = (value) => typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
var asText = (value) => typeof value === "string" && value !== "" ? value : void 0;
/** Options as an agent writes them: with ids, or just texts. */
var optionsIn = (value) => (Array.isArray(value) ? value : []).flatMap((one) => {
	if (typeof one === "string") return [{
		id: one,
		label: one
	}];
	return typeof asFields(one)["id"] === "string" ? [one] : [];
});
var asked = (question, calls, send) => {
	const id = String(question["id"]);
	const call = calls.get(String(question["callId"]));
	const answer = async (value) => void await send({
		type: "answer",
		answers: { [id]: value }
	});
	const kind = String(question["kind"]);
	return {
		id,
		kind: KINDS.has(kind) ? kind : "text",
		prompt: asText(question["prompt"]),
		options: optionsIn(question["options"]),
		schema: question["schema"] === void 0 ? void 0 : asFields(question["schema"]),
		details: question["details"],
		call: call && callOf(call),
		answer,
		decline: () => answer(false)
	};
};
var callOf = (part) => ({
	id: String(part["toolCallId"]),
	name: String(part["toolName"]),
	args: part["args"]
});
/** A call of a tool of the page. What it asks is in its arguments, under the names that agents use for it. */
var called = (part, messageId, send) => {
	const call = callOf(part);
	const { question, prompt, message, options, choices, schema, ...rest } = asFields(call.args);
	const given = optionsIn(options ?? choices);
	const isApproval = call.name === APPROVAL;
	const result = async (value, isError) => void await send({
		type: "add-tool-result",
		toolCallId: call.id,
		toolName: call.name,
		...messageId !== void 0 && { messageId },
		result: isApproval && typeof value === "boolean" ? { approved: value } : value,
		isError
	});
	return {
		id: call.id,
		kind: isApproval ? "approval" : schema !== void 0 ? "input" : given.length > 0 ? "choice" : "text",
		prompt: asText(question) ?? asText(prompt) ?? asText(message),
		options: given,
		schema: schema === void 0 ? void 0 : asFields(schema),
		details: Object.keys(rest).length > 0 ? rest : void 0,
		call,
		answer: (value) => result(value, false),
		decline: () => isApproval ? result(false, false) : result({ declined: true }, true)
	};
};
/** Return what is open. Nothing is while a run goes on: the calls in its answer are the server's. */
function questionsOf({ isRunning, pending }, stored, listed, send) {
	const last = stored.at(-1);
	const parts = last?.role === "assistant" ? partsOf(last) : [];
	const calls = new Map(stored.flatMap((message) => partsOf(message)).filter(({ type }) => type === "tool-call").map((part) => [String(part["toolCallId"]), part]));
	const answered = new Set(pending.flatMap((command) => [...Object.keys(asFields(command["answers"])), command["toolCallId"]]));
	const questions = listed.map((one) => asked(asFields(one), calls, send));
	const taken = new Set(questions.map(({ call }) => call?.id));
	const open = isRunning ? [] : parts.filter((part) => isOpen(part) && !taken.has(String(part["toolCallId"])));
	return [...questions, ...open.map((part) => called(part, last?.id, send))].filter(({ id }) => !answered.has(id));
}
/** Where a state has its open questions unless the page says otherwise. */
var usualPending = (state) => {
	const pending = state?.pending;
	return Array.isArray(pending) ? pending : void 0;
};
// src/runtime.ts
/** The runtime of assistant-ui: what it shows is the thread's, and what the user does is sent as commands. */
/** Return a message of the user as a command has it. */
var messageOf = ({ content, attachments, metadata }) => ({
	role: "user",
	parts: [...content, ...(attachments ?? []).flatMap((attachment) => attachment.content)],
	...Object.keys(metadata?.custom ?? {}).length > 0 && { metadata: { custom: metadata?.custom } }
});
var textOf = (message) => message.content.map((part) => part.type === "text" ? part.text : "").join("\n");
function useRuntime(shown) {
	const { repository, stored, isRunning, isLoading, canSwitch, branchCommand, send, cancel, list, attachments, feedback } = shown;
	const made = useRef(void 0);
	/** Send a message; what the server refuses goes back to the composer, unless something new stands there. */
	const say = useCallback(async (message, place = {}) => {
		try {
			await send({
				type: "add-message",
				message: messageOf(message),
				...place
			});
		} catch {
			const composer = made.current?.thread.composer;
			if (composer && composer.getState().text === "") composer.setText(textOf(message));
		}
	}, [send]);
	/** Have a message answered once more: the same message, under its id, from which on the server drops all. */
	const again = useCallback(async (from) => {
		const index = stored.findLastIndex(({ role }, at) => role === "user" && at <= from);
		const message = stored[index];
		if (message?.id === void 0) return;
		const parentId = stored[index - 1]?.id ?? null;
		const { id, role } = message;
		const command = {
			type: "add-message",
			message: {
				...message,
				id,
				role,
				parts: partsOf(message)
			}
		};
		await send({
			...command,
			parentId,
			sourceId: id
		}).catch(() => {});
	}, [stored, send]);
	const retry = useCallback(() => again(stored.length - 1), [again, stored.length]);
	const store = useMemo(() => ({
		messageRepository: repository,
		isRunning,
		isLoading,
		onNew: (message) => say(message),
		onEdit: (message) => {
			const { parentId, sourceId } = message;
			return say(message, {
				parentId,
				sourceId: sourceId ?? nextOf(stored, parentId)
			});
		},
		onReload: (parentId) => again(stored.findIndex(({ id }) => id === parentId)),
		onCancel: async () => void await cancel().catch(() => {}),
		onAddToolResult: async (result) => {
			const { messageId, toolCallId, toolName, isError, artifact, modelContent } = result;
			const more = {
				...artifact !== void 0 && { artifact },
				...modelContent && { modelContent }
			};
			const command = {
				type: "add-tool-result",
				messageId,
				toolCallId,
				toolName,
				result: result.result,
				isError,
				...more
			};
			await send(command).catch(() => {});
		},
		onRespondToToolApproval: async ({ approvalId, ...answer }) => {
			await send({
				type: "answer",
				answers: { [approvalId]: answer }
			}).catch(() => {});
		},
		...canSwitch && branchCommand !== void 0 && { setMessages: (chosen) => {
			const messageId = chosen.at(-1)?.id ?? null;
			if (messageId !== repository.headId) send({
				type: branchCommand,
				messageId
			}).catch(() => {});
		} },
		queue: {
			...QUEUE,
			enqueue: say,
			steer: say
		},
		adapters: {
			threadList: list,
			feedback,
			...attachments && { attachments }
		},
		unstable_enableToolInvocations: true
	}), [
		repository,
		stored,
		isRunning,
		isLoading,
		canSwitch,
		branchCommand,
		send,
		say,
		again,
		cancel,
		list,
		attachments,
		feedback
	]);
	const runtime = useExternalStoreRuntime(store);
	made.current = runtime;
	return {
		runtime,
		retry
	};
}
var QUEUE = {
	items: [],
	steerItems: [],
	move: () => {},
	edit: () => {},
	remove: () => {}
};
/** Return the id of the message behind another one. */
var nextOf = (messages, parentId) => {
	return messages[parentId === null ? 0 : messages.findIndex(({ id }) => id === parentId) + 1]?.id ?? null;
};
// src/thread-list.ts
var EMPTY = {
	items: [],
	next: void 0,
	isLoading: false
};
var summaryOf = ({ remoteId, title, status, lastMessageAt, custom }) => ({
	id: remoteId,
	title,
	status,
	lastMessageAt,
	custom
});
/**
* Keep the list. It is asked for again when the page is seen again, and when `news` changes.
*
* Failures leave the list as it is: the thread that is shown says what is wrong with the server.
*/
function useThreadList(adapters, { id, open, create }, isWanted, news) {
	const { threadList } = adapters;
	const [list, setList] = useState(() => ({
		...EMPTY,
		isLoading: isWanted
	}));
	const asked = useRef(0);
	const reload = useCallback(async () => {
		const number = ++asked.current;
		try {
			const { threads, nextCursor } = await threadList.list();
			if (number === asked.current) setList({
				items: threads.map(summaryOf),
				next: nextCursor,
				isLoading: false
			});
		} catch {
			if (number === asked.current) setList((now) => ({
				...now,
				isLoading: false
			}));
		}
	}, [threadList]);
	useEffect(() => {
		if (isWanted) reload();
	}, [
		isWanted,
		reload,
		news
	]);
	useEffect(() => {
		if (!isWanted) return void 0;
		const seen = () => void (document.hidden || reload());
		document.addEventListener("visibilitychange", seen);
		return () => document.removeEventListener("visibilitychange", seen);
	}, [isWanted, reload]);
	const { items, next, isLoading } = list;
	const loadMore = useCallback(async () => {
		if (next === void 0) return;
		const { threads, nextCursor } = await threadList.list({ after: next });
		setList((now) => {
			const known = new Set(now.items.map((item) => item.id));
			const more = threads.map(summaryOf).filter((item) => !known.has(item.id));
			return {
				...now,
				items: [...now.items, ...more],
				next: nextCursor
			};
		});
	}, [threadList, next]);
	return useMemo(() => {
		const change = (work) => work.then(reload);
		return {
			items,
			isLoading,
			hasMore: next !== void 0,
			loadMore,
			reload,
			open,
			create,
			rename: (one, title) => change(threadList.rename(one, title)),
			archive: (one) => change(threadList.archive(one)),
			unarchive: (one) => change(threadList.unarchive(one)),
			delete: async (one) => {
				await change(threadList.delete(one));
				if (one === id) create();
			}
		};
	}, [
		items,
		isLoading,
		next,
		loadMore,
		reload,
		open,
		create,
		threadList,
		id
	]);
}
var dataOf = (items, status) => items.filter((item) => item.status === status).map(({ id, title, custom }) => ({
	id,
	remoteId: id,
	status,
	title,
	custom
}));
/** What assistant-ui's list of threads is drawn from. */
function useThreadListAdapter(threads, id, isWanted) {
	return useMemo(() => {
		const { items, isLoading, open, create, rename, archive, unarchive, delete: remove } = threads;
		return {
			threadId: id,
			...isWanted && {
				isLoading,
				threads: dataOf(items, "regular"),
				archivedThreads: dataOf(items, "archived")
			},
			onSwitchToThread: open,
			onSwitchToNewThread: create,
			onRename: rename,
			onArchive: archive,
			onUnarchive: unarchive,
			onDelete: remove
		};
	}, [
		threads,
		id,
		isWanted
	]);
}
// src/use-statecast.ts
var UNFINISHED = /* @__PURE__ */ new Set([
	"failed",
	"cancelled",
	"interrupted"
]);
var ENDED = /* @__PURE__ */ new Set(["completed", ...UNFINISHED]);
/** Refusals of a retry where the server has the run's commands no more, and the user's last message may do. */
var NOT_KEPT = /* @__PURE__ */ new Set([
	"run_not_retryable",
	"unknown_run",
	"unknown_thread"
]);
function useStatecast$1(options = {}) {
	const { url, threadId, isNew = false, urlParam, onThreadChange } = options;
	const { threads: isListed = false, attachments = false, branchCommand } = options;
	const { messages: messagesIn = usualMessages, pending: pendingIn = usualPending } = options;
	const latest = useLatest(options);
	const identity = useIdentity(threadId, isNew, urlParam, onThreadChange);
	const isHydrated = useIsHydrated();
	const { thread, snapshot } = useThread(options, identity);
	const { state, run, isRunning, pending } = snapshot;
	const [refusal, setRefusal] = useState(null);
	const refused = refusal?.thread === thread ? refusal.error : null;
	const said = useRef(null);
	const accept = typeof attachments === "string" ? attachments : "*";
	const adapters = useMemo(() => createAdapters({
		url: addressOf$1(url),
		accept,
		headers: () => headersOf(latest.current.headers),
		fetch: (...request) => (latest.current.fetch ?? fetch)(...request),
		onError: (error) => latest.current.onError?.(error)
	}), [
		url,
		accept,
		latest
	]);
	const { keep } = identity;
	const context = useRef(() => ({}));
	const report = useCallback((error) => {
		if (!(error instanceof Error) || error.name === "AbortError") return;
		setRefusal({
			thread,
			error
		});
		latest.current.onError?.(error);
	}, [thread, latest]);
	const send = useCallback((commands, fields) => {
		setRefusal(null);
		said.current = thread;
		keep();
		const known = thread.getSnapshot();
		const sent = thread.send(commands, {
			...context.current(),
			...known.connection === "unknown" && known.state !== null && { state: known.state },
			...latest.current.fields,
			...fields
		});
		sent.catch(report);
		return sent;
	}, [
		thread,
		keep,
		report,
		latest
	]);
	const cancel = useCallback(() => {
		const stopped = thread.cancel();
		stopped.catch(report);
		return stopped;
	}, [thread, report]);
	const stored = useMemo(() => (state === null ? void 0 : messagesIn(state)) ?? NONE, [state]);
	const listed = useMemo(() => (state === null ? void 0 : pendingIn(state)) ?? NONE, [state]);
	const tree = useMemo(() => new Tree(), [thread]);
	const branches = useMemo(() => branchCommand === void 0 ? void 0 : branchesOf(state), [branchCommand, state]);
	const conversation = useMemo(() => conversationOf(snapshot, stored), [snapshot, stored]);
	const isBusy = isRunning || pending.length > 0;
	const repository = useMemo(() => tree.repositoryOf(conversation, branches, isBusy), [
		tree,
		conversation,
		branches,
		isBusy
	]);
	const sendAny = send;
	const questions = useMemo(() => questionsOf(snapshot, stored, listed, sendAny), [
		snapshot,
		stored,
		listed,
		sendAny
	]);
	const threads = useThreadList(adapters, identity, isListed, run !== null && ENDED.has(run.status) ? run.id : snapshot.cursor === null ? identity.id : run?.id);
	const list = useThreadListAdapter(threads, identity.id, isListed);
	const title = threads.items.find(({ id }) => id === identity.id);
	const isUntitled = isListed && title !== void 0 && title.title === void 0 && run?.status === "completed";
	useEffect(() => {
		if (!isUntitled || said.current !== thread) return;
		said.current = null;
		nameThread(adapters, thread.id, conversation.map(({ message }) => message)).then(threads.reload, () => {});
	}, [
		isUntitled,
		adapters,
		thread,
		conversation,
		threads.reload
	]);
	const { runtime, retry: answerAgain } = useRuntime({
		repository,
		stored,
		isRunning: isBusy,
		isLoading: snapshot.cursor === null && snapshot.connection === "connecting" && !identity.isNew,
		canSwitch: branches !== void 0 && branches.length > 0 && !isBusy,
		branchCommand,
		send: sendAny,
		cancel,
		list,
		attachments: attachments === false ? void 0 : adapters.attachments,
		feedback: useMemo(() => adapters.feedback(identity.id), [adapters, identity.id])
	});
	useEffect(() => {
		context.current = () => contextFields(runtime);
	}, [runtime]);
	const retried = useRef(null);
	const retry = useCallback(async () => {
		if (run === null || !UNFINISHED.has(run.status)) return answerAgain();
		if (retried.current === run.id) return;
		retried.current = run.id;
		setRefusal(null);
		try {
			await thread.retry(run.id);
		} catch (error) {
			retried.current = null;
			if (error instanceof Refused$1 && NOT_KEPT.has(error.code)) await answerAgain();
			else report(error);
		}
	}, [
		thread,
		run,
		answerAgain,
		report
	]);
	const dismiss = useCallback(() => setRefusal(null), []);
	return {
		runtime,
		state,
		run,
		isRunning: isBusy,
		send,
		cancel,
		retry,
		questions,
		threads,
		threadId: isHydrated ? identity.id : "",
		pending,
		queued: snapshot.queued,
		parts: snapshot.parts,
		revision: snapshot.revision,
		connection: snapshot.connection,
		error: refused ?? (snapshot.connection === "unknown" ? null : snapshot.error),
		dismiss,
		thread
	};
}
var NONE = [];
/** Have the server make a title. */
async function nameThread({ threadList }, id, messages) {
	const reader = (await threadList.generateTitle(id, messages)).getReader();
	while (!(await reader.read()).done);
}
// src/index.ts
var useStatecast = useStatecast$1;
var messagesOf = messagesOf$1;
export { Refused, messagesOf, useStatecast };
