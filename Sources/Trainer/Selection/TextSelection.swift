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
    /// The model that measures where the settings name none.
    private let checkpoint: Checkpoint?
    /// Nil where there are no triples.
    private let templates: TripleTemplates?
    /// Nil where no language is asked for.
    private let languages: LanguageIdentifier?
    /// What was named for texts to select from.
    private let arguments: [String]
    /// What of the files that documents are compared with was not read.
    private let notes: [String]

    /// The bytes of a part, on which what is in the work folder depends, and not the output.
    private static let partSize = 8 << 20

    /// Finds the files that a job names, and reads its evaluation texts.
    ///
    /// - Parameters:
    ///   - job: what is asked for.
    ///   - model: the model that measures where the job names none; it need not have been written.
    ///   - threads: how many threads work.
    ///   - tool: name and version of what writes.
    /// - Throws: ``UserFacingError`` naming the parameter that can't be, or the file that can't be read.
    public init(
        _ job: SelectionJob, model: Checkpoint? = nil, threads: Int, tool: String
    ) throws(UserFacingError) {
        try self.init(of: job.data, job.settings(), model: model, threads: threads, tool: tool)
    }

    /// Finds the files, and reads the evaluation texts.
    ///
    /// - Parameters:
    ///   - files: files, folders or patterns; nothing that can be read only once.
    ///   - settings: what is selected.
    ///   - model: the model that measures where the settings name none.
    ///   - threads: how many threads work.
    ///   - tool: name and version of what writes.
    ///   - partSize: the bytes of a part.
    /// - Throws: ``UserFacingError`` naming the file that can't be read.
    init(
        of files: [String], _ settings: SelectionSettings, model: Checkpoint? = nil, threads: Int,
        tool: String, partSize: Int = partSize
    ) throws(UserFacingError) {
        parts = try TextParts(
            files, options: settings.textOptions, fields: settings.fields, partSize: partSize)
        guard parts.count > 0 || settings.triples != nil else { throw .noDocuments(paths: files) }
        try Self.checkColumns(settings.columns, of: parts)
        templates = try settings.triples.map { text throws(UserFacingError) in
            for file in text.files where TextPaths.isPipe(file) { throw .pipeInPlaceOfFile(path: file) }
            return try TripleTemplates(path: text.templates)
        }
        (self.settings, self.threads, self.tool) = (settings, max(1, threads), tool)
        arguments = files
        languages = try settings.language.map { (choice) throws(UserFacingError) in
            try LanguageIdentifier(choice.samples, settings)
        }
        contamination = settings.evaluations.isEmpty ? nil : try Contamination(settings)
        var notes = (contamination?.notes ?? []) + (languages?.notes ?? [])
        if let choice = settings.choice, !choice.task.isEmpty {
            notes += try choice.forEachText(settings) { _ throws(UserFacingError) in }
        }
        self.notes = notes
        checkpoint = model
    }

    /// Refuses columns that no table has.
    private static func checkColumns(
        _ columns: [String], of parts: TextParts
    ) throws(UserFacingError) {
        guard !columns.isEmpty else { return }
        let names = parts.files.flatMap(\.columns)
        guard !names.isEmpty else { throw .noColumns }
        if let column = columns.first(where: { column in
            !names.contains { $0 == column || $0.hasPrefix(column + ".") }
        }) {
            throw .unknownWord(column, what: "column", known: Array(Set(names)).sorted(), at: "columns")
        }
    }

    /// Refuses the name of an output that says another format than JSON lines.
    ///
    /// - Throws: ``UserFacingError`` that says which names can be.
    public static func checkName(ofOutput path: String) throws(UserFacingError) {
        guard Path.suffix(path) != "jsonl" else { return }
        throw UserFacingError(
            .request,
            "what is chosen is JSON lines, and is not called \(path); name a file that ends in .jsonl")
    }

    /// The model that measures documents; nil where none does.
    private func model() throws(UserFacingError) -> DocumentModel? {
        guard let choice = settings.choice, choice.needsModel else { return nil }
        let named = try choice.model.map { (path) throws(UserFacingError) in try Checkpoint.open(path) }
        guard let measuring = named ?? checkpoint else { return nil }
        return try DocumentModel(measuring, options: settings.reading, threads: threads)
    }

    /// The files and the model of which the output is made, as they are.
    private func origins(_ model: DocumentModel?) throws(UserFacingError) -> JSON {
        var origins: JSON = [
            "data": .array(parts.files.map(\.record)),
            "against": .array(contamination?.files ?? []),
        ]
        if let text = settings.triples, let templates {
            origins["triples"] = .array(
                try text.files.map { (path) throws(UserFacingError) in
                    try InputFile(path: path).identity.record(path: path)
                })
            origins["templates"] = .string(templates.sha256)
        }
        if let languages { origins["language_samples"] = .array(languages.files) }
        if let choice = settings.choice {
            origins["to"] = try choice.taskFiles(settings)
            origins["fingerprint"] = model.map { .string($0.fingerprint) } ?? .null
        }
        return origins
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
        guard FileSystem.kind(of: output) != .folder else { throw .outputIsFolder(path: output) }
        let sources =
            parts.files.map(\.path) + settings.evaluations.map(\.path) + (settings.choice?.task ?? [])
            + (settings.language?.samples.map(\.path) ?? [])
            + (settings.triples.map { $0.files + [$0.templates] } ?? [])
        try TextPaths.check(output, apartFrom: sources)
        if let argument = (arguments + sources).first(where: { TextPaths.covers($0, output) }) {
            throw .outputAmongSources(path: output, argument: argument)
        }
        let model = try model()
        let origins = try origins(model)
        let lock = try begin(places, origins, replaces: replaces)
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
        try ExaminationPass(
            run: run, cleaner: cleaner, contamination: contamination, languages: languages
        ).carryOut()
        let clusters = try ComparisonPass(run: run).carryOut()
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
        plan.report.notes = parts.files.compactMap(\.unreadNote) + notes + (model?.notes ?? [])
        plan.report.origins = origins
        plan.report.sha256 = try FileDigest.sha256(
            InputFile(path: places.file("output")), isCancelled: { run.work.isStopped })
        plan.report.ledgerSHA256 = try FileDigest.sha256(InputFile(path: places.newLedger))
        plan.report.triples = made?.figures
        try AtomicFile(path: places.report).publish(plan.report.json.serialized())
        try FileSystem.replace(places.ledger, with: places.newLedger)
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
                total: bytes * text.wordings(of: templates), isCancelled, progress)
        ).carryOut()
    }

    /// Takes the work folder over, or makes it; one that is not a selection's is left as it is.
    private func begin(
        _ places: SelectionPlaces, _ origins: JSON, replaces: Bool
    ) throws(UserFacingError) -> WorkLock {
        let wanted: JSON = [
            "format": .string(SelectionReport.format), "tool": .string(tool), "settings": settings.json,
            "made_of": origins,
        ]
        var found: JSON?
        if FileSystem.exists(places.folder) {
            guard FileSystem.kind(of: places.folder) == .folder else {
                throw .otherFolder(path: places.folder)
            }
            // Of a run that was stopped right at its start there is at most the lock, and settings half written.
            let names = try FileSystem.names(places.folder)
            found = names.contains(Path.name(places.settings)) ? try? JSON.read(path: places.settings) : nil
            let isOwn =
                found?["format"]?.string == SelectionReport.format
                || names.allSatisfy { $0 == "lock" || $0 == Path.name(places.settings) + ".partial" }
            guard isOwn else { throw .otherFolder(path: places.folder) }
        }
        if found == nil, !replaces {
            for path in [places.ledger, places.report] where FileSystem.exists(path) {
                throw .outputExists(path: path)
            }
        }
        try FileSystem.create(places.folder)
        let lock = try WorkLock(path: places.file("lock"))
        if let found {
            if found == wanted { return lock }
            guard replaces else { throw .otherSelection(folder: places.folder) }
        }
        for name in try FileSystem.names(places.folder) where name != "lock" {
            try FileSystem.remove(places.file(name))
        }
        try AtomicFile(path: places.settings).publish(wanted.serialized())
        return lock
    }
}

extension TextParts.File {
    /// What documents of a table do not bring along, in words.
    fileprivate var unreadNote: String? {
        guard !unreadColumns.isEmpty else { return nil }
        return
            "\(path): its columns \(unreadColumns.joined(separator: ", ")) can't be read, and are not in the output"
    }
}

// MARK: - What was done before

extension TextSelection {
    /// Whether an output is there that this very selection has made.
    ///
    /// Where things lie and the program's version decide nothing.
    ///
    /// - Parameters:
    ///   - output: the file.
    ///   - isCancelled: asked often; true stops.
    /// - Returns: false where nothing is there.
    /// - Throws: ``UserFacingError`` that says what is other than when the file that is there was made.
    public func isFinished(
        at output: String, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> Bool {
        let places = SelectionPlaces(output: output)
        guard FileSystem.exists(output) else { return false }
        guard FileSystem.exists(places.report) else { throw .outputExists(path: output) }
        let report = try JSON.read(path: places.report)
        let wanted: JSON = ["settings": settings.json, "made_of": try origins(model())]
        let found: JSON = [
            "settings": report["settings"] ?? .null, "made_of": report["made_of"] ?? .null,
        ]
        let differences = RunIdentity.compare(Self.withoutPlaces(wanted), Self.withoutPlaces(found))
        guard differences.isEmpty else { throw .chosenOtherwise(path: output, differences) }
        let sha256 = try FileDigest.sha256(InputFile(path: output), isCancelled: isCancelled)
        guard report["sha256"]?.string == sha256 else { throw .changedOutput(path: output) }
        return true
    }

    /// What decides the output, without the places of files; those of evaluations tell by name and content.
    private static func withoutPlaces(_ json: JSON) -> JSON {
        if let list = json.array { return .array(list.map(withoutPlaces)) }
        guard let object = json.object else { return json }
        var rest = JSONObject()
        for (key, value) in object {
            let isPlace = key == "file" || key == "model" || key == "to" && value[0]?.string != nil
            if !isPlace { rest[key] = withoutPlaces(value) }
        }
        return .object(rest)
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

    /// An output was made by another selection.
    fileprivate static func chosenOtherwise(path: String, _ differences: [String]) -> Self {
        Self(
            .inconsistent,
            "\(path) was chosen otherwise: \(differences.prefix(3).joined(separator: "; ")); give another output, or remove it to choose again"
        )
    }

    /// An output is no more what was written.
    fileprivate static func changedOutput(path: String) -> Self {
        Self(
            .inconsistent,
            "\(path) is no longer what was chosen, says \(path).report.json; give another output, or remove it to choose again"
        )
    }

    /// An output is a folder.
    fileprivate static func outputIsFolder(path: String) -> Self {
        Self(
            .request, "\(path) is a folder; give the name of a file, as in \(Path.join(path, "chosen.jsonl"))"
        )
    }

    /// The work folder's name is taken.
    fileprivate static func otherFolder(path: String) -> Self {
        Self(
            .request,
            "\(path): what is there is not a selection's, whose work would lie there; move it away, or give another output"
        )
    }

    /// Columns are named, and no file has any.
    fileprivate static var noColumns: Self {
        Self(
            .request,
            "columns are those of Parquet files, and none of the files is one; lines bring all that they have"
        )
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
