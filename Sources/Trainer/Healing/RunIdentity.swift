internal import Formats
internal import Foundation

/// What makes two runs the same run, so that one may go on where the other stopped.
public struct RunIdentity: Codable, Sendable, Equatable {
    /// A file by its name and size.
    public struct File: Codable, Sendable, Equatable {
        /// Its path as it was given.
        public var path: String
        /// Its size.
        public var bytes: Int
        /// Its share of the data; nil for other files.
        public var weight: Double?

        /// A file.
        public init(path: String, bytes: Int, weight: Double? = nil) {
            self.path = path
            self.bytes = bytes
            self.weight = weight
        }
    }

    /// What the run was asked to do.
    public var plan: HealingPlan
    /// The model's weights files, by their names.
    public var model: [File]
    /// The files that are trained on.
    public var data: [File]

    /// A run's identity.
    public init(plan: HealingPlan, model: [File], data: [File]) {
        self.plan = plan
        self.model = model
        self.data = data
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
