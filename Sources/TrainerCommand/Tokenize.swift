import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Foundation
import Trainer

struct Tokenize: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Show, count or pack the tokens of text.",
        discussion: """
            MODEL is a folder with tokenizer.json, or that file; the current folder when it is left out. \
            \(TextArguments.files) Where -o is a folder, pipes and standard input are refused.

              trainer tokenize my-model korean.jsonl                        # figures
              trainer tokenize my-model korean.jsonl --ids                  # a document's ids a line
              trainer tokenize my-model korean.jsonl -o korean.safetensors  # for heal --data and eval --data
              trainer tokenize my-model corpus/ -o korean.tokens            # a folder of shards, of any size
              trainer tokenize my-model corpus/ -o korean.tokens --shard 2/4   # the third of four machines' part

            A packed file holds the ids, where each document begins, its bytes of text, and the SHA-256 of \
            tokenizer.json; heal and eval read it by memory map, with the same results as from the text.

            Where -o is no .safetensors file, it is a folder of shards, with the documents in an order that --seed \
            decides, in memory that does not grow with the text. A run that was stopped goes on with the same command: \
            shards that are there stay. On several machines each makes those whose number over the count leaves its \
            own; heal and eval take the folder when all are there.

            heal and eval lay documents out by themselves: a start token, the text, the end of text. training_tokens \
            counts what one pass of heal shows.

            With --json: documents, tokens (special ones included), training_tokens, bytes, bytes_per_token (without those put \
            around documents), tokens_per_document, longest, unknown, used (different tokens), vocabulary; and of the \
            text skipped_lines, control_tokens, decomposed_hangul, carriage_returns, byte_order_marks, nul_characters. Of a \
            folder they are those of the shards of this machine, with shards (of all machines), shards_made (now) and \
            shards_missing (of other machines).
            """)

    @Argument(help: ArgumentHelp("A model and files of text.", valueName: "[model] file")) var arguments:
        [String]
    @Flag(help: "Print each document's ids on a line.") var ids = false
    @Flag(help: "Print what each document's ids say, as a JSON string on a line.") var text = false
    @Flag(help: "Print figures (the default).") var stats = false
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "Pack the ids into this .safetensors file, or into shards in this folder.",
            valueName: "file|folder"))
    var output: String?
    @Option(help: ArgumentHelp("Decides the order of the documents in a folder (0).", valueName: "number"))
    var seed: UInt64?
    @Option(
        help: ArgumentHelp("About how much of the files a shard is made of (256MB).", valueName: "size"))
    var shardBytes: ByteSize?
    @Option(
        help: ArgumentHelp("Make the shards of machine i of n, from 0/n to (n-1)/n.", valueName: "i/n"),
        transform: share(typed:))
    var shard: ShardedTokenization.Share?
    @OptionGroup var ends: EndOptions
    @Flag(help: "Replace an output.") var force = false
    @OptionGroup(title: "Reading of text") var reading: TextArguments
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard [ids, text, stats, output != nil].count(where: \.self) <= 1 else {
            throw ValidationError("give one of --ids, --text, --stats and -o")
        }
        guard !json || !(ids || text) else { throw ValidationError("--json goes with figures") }
        guard !force || output != nil else { throw ValidationError("--force goes with -o") }
        guard isFolder || seed == nil && shardBytes == nil && shard == nil else {
            throw ValidationError(
                "--seed, --shard-bytes and --shard go with -o FOLDER, whose name does not end in .safetensors"
            )
        }
        guard shard == nil || !force else {
            throw ValidationError(
                "--force would remove what other machines have made; remove the folder, and leave --force out"
            )
        }
        guard !files.isEmpty else {
            throw ValidationError("give at least one file of text besides the model")
        }
    }

    /// The model: the first argument where it is a folder, a name in the hub's cache or a tokenizer.json, unless it is the only
    /// one and no model.
    private var model: String? {
        guard let first = arguments.first else { return nil }
        if HubCache.isName(first) { return try? HubCache.path(of: first) }
        guard FileSystem.kind(of: first) == .folder else {
            return Path.name(first).hasSuffix("tokenizer.json") ? first : nil
        }
        return arguments.count > 1 || TextPaths.isModel(first)
            || FileSystem.exists(Path.join(first, "tokenizer.json"))
            ? first : nil
    }

    /// Whether the output is a folder of shards.
    private var isFolder: Bool { output.map { !$0.hasSuffix(".safetensors") } ?? false }

    private var files: [String] { model == nil ? arguments : Array(arguments.dropFirst()) }

    func run() throws {
        try runReportingErrors {
            if let output, !force || isFolder, let kind = FileSystem.kind(of: output),
                !isFolder || kind != .folder
            {
                throw ValidationError("\(output) exists; give another name, or --force to replace it")
            }
            if let output, !isFolder { try TextPaths.check(output, apartFrom: files + [model ?? "."]) }
            let tokenizer = try tokenizer()
            if isFolder, let output { return try pack(tokenizer, intoFolder: output) }
            let tokenization = try Tokenization(
                of: files, options: reading.options, by: tokenizer, layout: layout(tokenizer),
                threads: compute.count)
            for warning in tokenization.warnings { warn(warning) }
            if ids { return try printLines(tokenization) { $0.map(String.init).joined(separator: " ") } }
            if text {
                return try printLines(tokenization) { ids in
                    let text = tokenizer.decode(ids, skipSpecialTokens: true)
                    return String(decoding: JSON(text).serialized(indent: nil), as: UTF8.self)
                }
            }
            guard let output else { return try show(try tokenization.statistics(), output: nil) }
            try pack(tokenization, to: output)
        }
    }

    private func tokenizer() throws -> Tokenizer {
        // What is neither a file nor a folder was meant as a model, where none is at hand.
        let unknown = TextPaths.isModel(".") ? nil : arguments.first { FileSystem.kind(of: $0) == nil }
        let model = model ?? unknown ?? "."
        return try model.hasSuffix(".json") ? .open(model) : TokenizerFiles.open(model).tokenizer()
    }

    /// How heal lays documents out for the model; nil where only a tokenizer.json is given.
    private func layout(_ tokenizer: Tokenizer) throws -> DocumentLayout? {
        let folder = model ?? "."
        guard !folder.hasSuffix(".json"), FileSystem.kind(of: Path.join(folder, "config.json")) == .file
        else {
            return nil
        }
        let (layout, notes, _) = try DocumentLayout.found(
            inFolder: folder, tokenizer: tokenizer, endOfText: ends.endOfText)
        notes.forEach { warn($0) }
        return layout
    }

    private func printLines(_ tokenization: Tokenization, _ line: ([Int32]) -> String) throws {
        var lines = OutputLines()
        try tokenization.forEachDocument { document throws(UserFacingError) in
            try lines.append(line(document.tokens))
        }
        try lines.flush()
    }

    private func pack(_ tokenization: Tokenization, to output: String) throws {
        Interruption.watch()
        var line = ProgressLine()
        let total = tokenization.count
        defer { line.clear() }
        let statistics = try tokenization.write(
            to: output, tool: "trainer \(Version.current)", isCancelled: { Interruption.signal != nil },
            progress: { line.update("packing: \($0) of \(total) documents") })
        line.clear()
        try show(statistics, output: output)
    }

    private func pack(_ tokenizer: Tokenizer, intoFolder output: String) throws {
        let tokenization = try ShardedTokenization(
            of: files, options: reading.options, by: tokenizer, layout: layout(tokenizer), seed: seed ?? 0,
            shardBytes: shardBytes?.bytes ?? 256_000_000, threads: compute.count,
            tool: "trainer \(Version.current)")
        Interruption.watch()
        let line = Guarded((ProgressLine(), ProgressMeter()))
        defer { line.withLock { $0.0.clear() } }
        let outcome = try tokenization.write(
            to: output, share: shard ?? .all, replaces: force, isCancelled: { Interruption.signal != nil },
            progress: { done, total in
                line.withLock { line in
                    let text = line.1.bytes(done: done, of: total)
                    line.0.update("packing: \(text)")
                }
            })
        line.withLock { $0.0.clear() }
        for warning in tokenization.warnings(of: outcome) { warn(warning) }
        let count = tokenization.shardCount
        let figures: JSON = [
            "shards": JSON(count), "shards_made": JSON(outcome.made), "shards_missing": JSON(outcome.missing),
        ]
        try show(outcome.statistics, output: nil, adding: figures)
        if json { return }
        let missing =
            outcome.missing > 0 ? "; \(outcome.missing) are still to be made by other machines" : ""
        report("\(output): made \(outcome.made) of \(count) shards\(missing)")
    }

    private func show(
        _ statistics: TokenStatistics, output: String?, adding figures: JSON = [:]
    ) throws {
        if json {
            var object = try JSON(encoding: statistics)
            for (key, value) in figures.object ?? JSONObject() { object[key] = value }
            return printJSON(object)
        }
        var table = Table(columns: [("", .left), ("", .right)])
        table.add("documents", Units.grouped(statistics.documents))
        table.add("tokens", Units.grouped(statistics.tokens))
        if let tokens = statistics.trainingTokens {
            table.add("tokens of a pass of training", Units.grouped(tokens))
        }
        table.add("bytes", Units.grouped(statistics.bytes))
        table.add("bytes a token", Units.fixed(statistics.bytesPerToken, digits: 3))
        table.add("tokens a document", Units.fixed(statistics.tokensPerDocument, digits: 1))
        table.add("longest document", Units.grouped(statistics.longest))
        table.add("unknown tokens", Units.grouped(statistics.unknown))
        table.add(
            "different tokens",
            "\(Units.grouped(statistics.used)) of \(Units.grouped(statistics.vocabulary))")
        report(table.description)
        if let output { report("wrote \(output)") }
    }
}

/// A share as it is typed.
private func share(typed text: String) throws -> ShardedTokenization.Share {
    guard let share = ShardedTokenization.Share(text) else {
        throw ValidationError("--shard is i/n, from 0/n to (n-1)/n, and not '\(text)'")
    }
    return share
}

/// Lines on standard output, written in large pieces.
private struct OutputLines {
    private var bytes: [UInt8] = []

    mutating func append(_ line: String) throws(UserFacingError) {
        bytes.append(contentsOf: line.utf8)
        bytes.append(UInt8(ascii: "\n"))
        if bytes.count > 1 << 20 { try flush() }
    }

    mutating func flush() throws(UserFacingError) {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(bytes))
        } catch {
            throw .file(.write, "standard output")
        }
        bytes.removeAll(keepingCapacity: true)
    }
}
