public import Formats

/// Chooses documents of files of any size: cleans them, asks rules, leaves out what stands there twice or nearly so, and what
/// holds texts of evaluations.
///
/// Passes over the ``TextParts`` of the files, each on all threads: units that repeat, where they are asked for; every document
/// by itself; keys that are the same, sorted on the disk; writing. What a pass knows lies in a folder beside the output, a file
/// a part, so a run that was killed goes on, and the output is the same bytes on any number of threads. Memory holds a part and
/// a document a thread, about 20 bytes a document, and the evaluation texts. Each pass is a file of `Passes`; what they have in
/// common is a ``SelectionRun``.
public struct TextSelection: Sendable {
    private let parts: TextParts
    private let settings: SelectionSettings
    private let threads: Int
    private let tool: String
    private let contamination: Contamination?
    private let templates: TripleTemplates?
    /// What tells the task and the model from others.
    private let choiceIdentity: JSON

    /// The bytes of a part, on which what is in the work folder depends, and not the output.
    private static let partSize = 8 << 20

    /// Finds the files, and reads the evaluation texts.
    ///
    /// - Parameters:
    ///   - files: files, folders or patterns; nothing that can be read only once.
    ///   - settings: what is selected.
    ///   - threads: how many threads work.
    ///   - tool: name and version of what writes.
    /// - Throws: ``UserFacingError`` naming the file that can't be read.
    public init(
        of files: [String], _ settings: SelectionSettings, threads: Int, tool: String
    ) throws(UserFacingError) {
        try self.init(of: files, settings, threads: threads, tool: tool, partSize: Self.partSize)
    }

    init(
        of files: [String], _ settings: SelectionSettings, threads: Int, tool: String, partSize: Int
    ) throws(UserFacingError) {
        parts = try TextParts(files, options: settings.textOptions, partSize: partSize)
        guard parts.count > 0 || settings.triples != nil else { throw .noDocuments(paths: files) }
        templates = try settings.triples.map { text throws(UserFacingError) in
            for file in text.files where TextPaths.isPipe(file) { throw .pipeInPlaceOfFile(path: file) }
            return try TripleTemplates(path: text.templates)
        }
        let fields = [settings.dates?.field, settings.choice?.topicField, settings.choice?.tagsField]
            .compactMap(\.self)
        if let field = fields.first, let table = parts.files.first(where: \.isTable) {
            throw .noFields(path: table.path, field: field)
        }
        (self.settings, self.threads, self.tool) = (settings, max(1, threads), tool)
        var options = settings.textOptions
        options.textKey = settings.evaluationKey
        contamination =
            settings.evaluations.isEmpty
            ? nil
            : try Contamination(
                settings.evaluations, options: options, threshold: settings.contaminationShare)
        guard let choice = settings.choice else {
            choiceIdentity = .null
            return
        }
        choiceIdentity = [
            "task": try choice.taskFiles(settings),
            "model": .string(try Self.model(settings, threads: threads)?.fingerprint ?? ""),
        ]
    }

    /// The model that measures documents; nil where none does.
    private static func model(
        _ settings: SelectionSettings, threads: Int
    ) throws(UserFacingError) -> DocumentModel? {
        guard let choice = settings.choice, choice.needsModel, let path = choice.model else { return nil }
        return try DocumentModel(path: path, options: settings.reading, threads: threads)
    }

    /// What a run is doing.
    public enum Stage: String, Sendable {
        case triples = "making text of triples"
        case units = "looking for repeated lines"
        case documents = "reading"
        case keys = "comparing"
        case words = "counting words"
        case scores = "scoring"
        case model = "asking the model"
        case clusters = "clustering"
        case marginal = "comparing what is chosen"
        case output = "writing"
    }

    /// Writes the documents that are chosen, the ledger and the report.
    ///
    /// - Parameters:
    ///   - output: the file, whose names with `.ledger`, `.report.json` and `.run` are taken as well.
    ///   - replaces: whether what is there is replaced; else a run that was stopped goes on.
    ///   - isCancelled: asked now and then, by several threads; true ends the run, and what is whole stays.
    ///   - progress: is given what is done, and how many bytes of how many, by several threads.
    /// - Returns: the report.
    /// - Throws: ``UserFacingError`` when something can't be read or written, when it was stopped, or when the folder of a
    ///   run that was stopped holds what was made otherwise.
    public func write(
        to output: String, replaces: Bool = false, isCancelled: @Sendable @escaping () -> Bool = { false },
        progress: @Sendable @escaping (Stage, _ done: Int, _ total: Int) -> Void = { _, _, _ in }
    ) throws(UserFacingError) -> SelectionReport {
        let places = SelectionPlaces(output: output)
        guard replaces || FileSystem.kind(of: output) == nil else { throw .outputExists(path: output) }
        let sources =
            parts.files.map(\.path) + settings.evaluations.map(\.path) + (settings.choice?.task ?? [])
            + (settings.triples.map { $0.files + [$0.templates] } ?? [])
        if let there = FileSystem.resolved(output),
            sources.contains(where: { FileSystem.resolved($0) == there })
        {
            throw .outputIsSource(path: output)
        }
        let lock = try begin(places, replaces: replaces)
        let made = try textOfTriples(places, isCancelled, progress)
        var parts = parts
        for path in made?.paths ?? [] { try parts.add(path) }
        guard parts.count > 0 else { throw .noDocuments(paths: settings.triples?.files ?? []) }
        let run = SelectionRun(
            parts: parts, fileNames: self.parts.files.map(\.path) + (made?.names ?? []), settings: settings,
            threads: threads, places: places,
            work: SelectionWork(
                total: (0..<parts.count).reduce(0) { $0 + parts.byteCount($1) }, isCancelled, progress))
        let cleaner = TextCleaner(settings.cleaning, repeated: try RepeatedUnitsPass(run: run).carryOut())
        try ExaminationPass(run: run, cleaner: cleaner, contamination: contamination).carryOut()
        let clusters = try ComparisonPass(run: run).carryOut()
        let model = try Self.model(settings, threads: threads)
        var chosen: Choice?
        if let choice = settings.choice {
            chosen = try ChoicePass(
                run: run, clusters: clusters, cleaner: cleaner, choice: choice,
                model: model
            ).carryOut()
        }
        var plan = try LedgerPass(run: run, contamination: contamination, tool: tool)
            .carryOut(clusters, chosen)
        try OutputPass(run: run, cleaner: cleaner).carryOut(plan)
        plan.report.notes = model?.notes ?? []
        plan.report.triples = made?.figures
        try AtomicFile(path: places.report).publish(plan.report.json.serialized())
        try FileSystem.replace(output, with: places.file("output"))
        try FileSystem.remove(places.folder)
        _ = consume lock
        return plan.report
    }

    /// Makes text of triples; nil where there are none.
    private func textOfTriples(
        _ places: SelectionPlaces, _ isCancelled: @Sendable @escaping () -> Bool,
        _ progress: @Sendable @escaping (Stage, Int, Int) -> Void
    ) throws(UserFacingError) -> TriplesPass.Written? {
        guard let text = settings.triples, let templates else { return nil }
        let bytes = text.files.reduce(0) { $0 + FileSystem.byteCount(of: $1) }
        return try TriplesPass(
            settings: settings, text: text, templates: templates, threads: threads, places: places,
            work: SelectionWork(
                total: bytes * TriplesPass.wordings(text, templates), isCancelled, progress)
        ).carryOut()
    }

    /// Takes the work folder over, or makes it.
    private func begin(_ places: SelectionPlaces, replaces: Bool) throws(UserFacingError) -> WorkLock {
        let sources = parts.files.map { file -> JSON in
            ["file": .string(file.path), "bytes": JSON(file.size), "modified": JSON(file.modified)]
        }
        var wanted: JSON = [
            "tool": .string(tool), "settings": settings.json, "sources": .array(sources),
            "against": .array(contamination?.files ?? []),
        ]
        if settings.choice != nil { wanted["choice"] = choiceIdentity }
        if let text = settings.triples, let templates {
            var files: [JSON] = []
            for file in text.files {
                let input = try InputFile(path: file)
                files.append(
                    [
                        "file": .string(file), "bytes": JSON(input.size),
                        "modified": JSON(input.identity.seconds),
                    ])
            }
            wanted["triples"] = ["files": .array(files), "templates": .string(templates.sha256)]
        }
        try FileSystem.create(places.folder)
        let lock = try WorkLock(path: places.file("lock"))
        if FileSystem.exists(places.settings) {
            if try JSON.read(path: places.settings) == wanted { return lock }
            guard replaces else { throw .otherSelection(folder: places.folder) }
        }
        for name in try FileSystem.names(places.folder) where name != "lock" {
            try FileSystem.remove(places.file(name))
        }
        try AtomicFile(path: places.settings).publish(wanted.serialized())
        return lock
    }
}

/// The claim of one process on a work folder.
private struct WorkLock: ~Copyable {
    private let file: WritableFile

    init(path: String) throws(UserFacingError) {
        let file = try WritableFile(path: path)
        guard file.lock() else { throw .selectionIsRunning(path: Path.parent(path)) }
        self.file = file
    }
}

extension UserFacingError {
    /// An output is there.
    static func outputExists(path: String) -> Self {
        Self(.request, "\(path) exists; give another name, or --force to replace it")
    }

    /// An output would replace what is read.
    static func outputIsSource(path: String) -> Self {
        Self(.request, "\(path) is one of the files that are read; give the output another name")
    }

    /// What was left by a run belongs to another selection.
    static func otherSelection(folder: String) -> Self {
        Self(
            .inconsistent,
            "\(folder): it is of a run with other files, settings or version; give what that had, another output, or --force to begin again"
        )
    }

    /// Another process works on the same output.
    static func selectionIsRunning(path: String) -> Self {
        Self(
            .busy,
            "\(path): another process is at work on this selection; wait until it is done, or give another output"
        )
    }
}
