internal import Formats
internal import Models
internal import Foundation

/// What makes two runs the same run, so that one may go on where the other stopped.
public struct RunIdentity: Codable, Sendable, Equatable {
    /// A file by its name and content.
    public struct File: Codable, Sendable, Equatable {
        /// Its path as it was given.
        public var path: String
        /// Its size.
        public var bytes: Int
        /// The SHA-256 of what is in it; nil for weights, which the kept run holds itself.
        public var sha256: String?
        /// Its share of the data; nil for other files.
        public var weight: Double?
    }

    /// What the run was asked to do.
    public var plan: HealingPlan
    /// The model's weights files, by their names.
    public var model: [File]
    /// The files that are trained on.
    public var data: [File]

    /// The identity of a run; reads the data, the configuration and the tokenizer through once.
    ///
    /// - Throws: `UserFacingError` when a file cannot be read.
    init(plan: HealingPlan, model: PretrainedModel, data: HealingRequest.Data) throws(UserFacingError) {
        self.plan = plan
        self.model = model.checkpoint.sources.map { File(path: $0.name, bytes: $0.size) }
        let files = try model.checkpoint.stored().auxiliaryFiles.map(\.name)
        let assets = files.filter { $0.hasPrefix("assets/") }
        for name in [Configuration.fileName, "tokenizer.json"] + assets {
            let path = Path.join(model.checkpoint.path, name)
            if FileSystem.kind(of: path) == .file { self.model.append(try Self.file(path, called: name)) }
        }
        self.data = []
        switch data {
        case .rows(let path): self.data.append(try Self.file(path, called: path))
        case .text(let sources):
            for source in sources {
                var file = try Self.file(source.path, called: source.path)
                file.weight = source.weight
                self.data.append(file)
            }
        }
    }

    private static func file(_ path: String, called name: String) throws(UserFacingError) -> File {
        let file = try InputFile(path: path)
        return File(path: name, bytes: file.size, sha256: try FileDigest.sha256(file))
    }

    /// What is different from a run that was kept, as "plan.steps is 400, was 200".
    func differences(from kept: RunIdentity) -> [String] {
        guard let new = Self.json(self), let old = Self.json(kept) else { return [] }
        return Self.compare(new, old, path: "")
    }

    private static func json(_ identity: RunIdentity) -> JSON? {
        guard let data = try? JSONEncoder().encode(identity) else { return nil }
        return try? JSON(parsing: [UInt8](data), file: "run.json")
    }

    private static func compare(_ new: JSON?, _ old: JSON?, path: String) -> [String] {
        if new == old { return [] }
        if let new = new?.object, let old = old?.object {
            let keys = Set(new.keys).union(old.keys).sorted()
            return keys.flatMap { compare(new[$0], old[$0], path: path.isEmpty ? $0 : "\(path).\($0)") }
        }
        if let new = new?.array, let old = old?.array, new.count == old.count {
            return new.indices.flatMap { compare(new[$0], old[$0], path: "\(path)[\($0)]") }
        }
        return ["\(path) is \(new?.text ?? "not given"), was \(old?.text ?? "not given")"]
    }
}
