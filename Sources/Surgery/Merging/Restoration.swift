public import Formats
internal import Models
internal import OrderedCollections

/// What an instruct model learned beyond its base, added to a model that was made of that base: W + s · (I − B).
///
/// The difference goes wherever surgery put the base's layers and rows. Source: instruct residual, Balancing Continuous
/// Pre-Training and Instruction Fine-Tuning (arXiv 2410.10739); before it the chat vector (arXiv 2310.04799).
public struct Restoration: SurgeryOperation {
    /// `restore`.
    public static let name = "restore"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("instruct", .path, "the base after instruction tuning", isRequired: true),
        OperationParameter("base", .path, "the base that the model was made of", isRequired: true),
        OperationParameter("strength", .number, "how much of the difference is added (1)"),
        OperationParameter(
            "chat-template", .choice(Template.allCases.map(\.rawValue)),
            "whose chat template the result has"),
    ]

    /// Whose chat template the result has.
    public enum Template: String, Codable, Sendable, CaseIterable {
        /// The instruct model's, and with it how it ends its answers, where the model has the tokens for it.
        case instruct
        /// The model's own, if it has one.
        case own
    }

    /// The folder of the base after instruction tuning.
    public var instruct: String
    /// The folder of the base that the model was made of.
    public var base: String
    /// How much of the difference is added; nil for 1.
    public var strength: Double?
    /// Whose chat template the result has; nil for the instruct model's.
    public var chatTemplate: Template?

    private enum CodingKeys: String, CodingKey {
        case instruct, base, strength
        case chatTemplate = "chat-template"
    }

    /// A request.
    public init(instruct: String, base: String, strength: Double? = nil, chatTemplate: Template? = nil) {
        self.instruct = instruct
        self.base = base
        self.strength = strength
        self.chatTemplate = chatTemplate
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let strength = Float(strength ?? 1)
        guard strength.isFinite, strength != 0 else { throw .badStrength(self.strength ?? 1) }
        var outcome = Outcome(source)
        outcome.suffix = "restored"
        let missing = [instruct, base].filter {
            context.isDryRun && FileSystem.kind(of: $0) == nil && !HubCache.isName($0)
        }
        outcome.warnings = missing.map { "\($0) is not there yet, and the step needs it" }
        guard missing.isEmpty else { return outcome }
        // As the files have them, for so the manifest names what the model was made of.
        let models = (base: try Checkpoint.open(base), instruct: try Checkpoint.open(instruct))
        let comparison = try ModelComparison(models.base, models.instruct, allowsMoreRows: true)
        try context.checkAgreement(models.base)
        try context.checkAgreement(models.instruct)
        outcome.warnings += comparison.notes
        let (ancestor, doubt) = try source.ancestor(being: models.base, context)
        if let doubt { outcome.warnings.append(doubt) }
        var mapping = try ResidualMapping(comparison)
        for (name, tensor) in source.tensors {
            guard let residual = try mapping.residual(for: name, tensor, ancestor.provenance[name]) else {
                continue
            }
            outcome.checkpoint.tensors[name] = try .weighted(
                [tensor, residual], by: [1, strength], as: tensor.type)
        }
        outcome.checkpoint.otherSources += [models.base.path, models.instruct.path]
        guard mapping.mapped > 0 else { throw .nothingLeft(of: models.base.path, in: source.path) }
        mapping.report(to: &outcome, strength: strength, of: source.tensors.count)
        if chatTemplate ?? .instruct == .instruct {
            let template = try InstructTemplate(of: models.instruct.asHuggingFace())
            try template.give(to: &outcome, in: mapping.rowsWithoutResidual)
        }
        return outcome
    }
}

// MARK: - The base among the models that a model was made of

extension Checkpoint {
    /// The one among the models that this one was made of that is another.
    ///
    /// - Parameters:
    ///   - base: the other model, as its files have it.
    ///   - context: who watches while its checksums are made.
    /// - Returns: what is known of it in this model, and a sentence where it is known by names and sizes alone.
    /// - Throws: ``UserFacingError`` when nothing is known of what this model was made of, or it was not made of the other.
    fileprivate func ancestor(
        being base: Checkpoint, _ context: OperationContext
    ) throws(UserFacingError) -> (ancestor: Ancestor, doubt: String?) {
        if let unusableManifest, operations.isEmpty { throw unusableManifest }
        let line = try ancestors()
        guard !line.isEmpty else { throw .unknownOrigin(path) }
        var digests = FileDigests(base.sources, context)
        for ancestor in line where !ancestor.files.isEmpty {
            var isProven = true
            var isSame = true
            for file in ancestor.files {
                switch try digests.match(file, beside: path) {
                case .none: isSame = false
                case .byName: isProven = false
                case .byContent: break
                }
                if !isSame { break }
            }
            guard isSame else { continue }
            try ancestor.check(against: base)
            return (
                ancestor,
                isProven
                    ? nil
                    : "\(Manifest.fileName) of \(path) has no checksums, so that it was made of \(base.path) is known "
                        + "by the names and sizes of files alone"
            )
        }
        throw .otherBase(path, base.path, line.compactMap(\.files.first))
    }
}

extension Ancestor {
    /// Refuses a model whose tensors are not those that this one's are told to be.
    fileprivate func check(against base: Checkpoint) throws(UserFacingError) {
        for tree in provenance.values {
            var wrong: String?
            tree.forEachSource(of: 0..<(tree.shape.first ?? 1)) { _, tensor, rows in
                let height = base.tensors[tensor].map { $0.shape.first ?? 1 } ?? -1
                if height < rows.upperBound { wrong = wrong ?? tensor }
            }
            if let wrong { throw .otherTensor(wrong, in: base.path) }
        }
    }
}

/// A model's weights files by what is in them; a checksum is made where a size fits, once.
private struct FileDigests {
    enum Match { case none, byName, byContent }

    private let files: [InputFile]
    private let context: OperationContext
    private var known: [Int: String] = [:]

    init(_ files: [InputFile], _ context: OperationContext) { (self.files, self.context) = (files, context) }

    /// Whether one of the files is the one that a manifest lists.
    mutating func match(_ listed: Manifest.Source, beside folder: String) throws(UserFacingError) -> Match {
        for (index, file) in files.enumerated() where file.size == listed.bytes {
            guard let expected = listed.sha256 else {
                // What was not written yet is made of files that are open.
                let place = FileSystem.resolved(Path.join(folder, listed.path))
                if let place, place == FileSystem.resolved(file.path) { return .byContent }
                if file.name == Path.name(listed.path) { return .byName }
                continue
            }
            if known[index] == nil {
                context.progress("checking", 0, file.size)
                known[index] = try FileDigest.sha256(file, isCancelled: context.isCancelled)
            }
            if known[index] == expected { return .byContent }
        }
        return .none
    }
}

// MARK: - Errors

extension UserFacingError {
    fileprivate static func badStrength(_ strength: Double) -> Self {
        Self(.request, "strength \(strength): give a number other than 0, as 1 or 0.5")
    }

    fileprivate static func unknownOrigin(_ path: String) -> Self {
        Self(
            .missing,
            "\(path) has no \(Manifest.fileName), which says where the base's layers and rows are in it; only models that "
                + "this program has made of the base can be given the difference")
    }

    fileprivate static func otherBase(_ path: String, _ base: String, _ files: [Manifest.Source]) -> Self {
        let known = files.map { file in
            "\(file.path) (\(Units.bytes(file.bytes))\(file.sha256.map { ", SHA-256 \($0.prefix(12))…" } ?? ""))"
        }
        return Self(
            .inconsistent,
            "\(path) was not made of \(base): its \(Manifest.fileName) names "
                + (known.isEmpty
                    ? "no file that it still has anything of" : known.joined(separator: ", then "))
                + "; give the very model that surgery began with")
    }

    fileprivate static func otherTensor(_ tensor: String, in base: String) -> Self {
        Self(
            .inconsistent,
            "\(Manifest.fileName) takes more of tensor '\(tensor)' than \(base) has; it was edited")
    }

    fileprivate static func nothingLeft(of base: String, in path: String) -> Self {
        Self(
            .inconsistent,
            "nothing in \(path) is still \(base)'s, so there is nothing to add the difference to")
    }
}
