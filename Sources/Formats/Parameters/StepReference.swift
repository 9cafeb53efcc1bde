/// What stands in a recipe in place of a path for what an earlier step has made: `step:NAME`.
enum StepReference {
    private static let prefix = "step:"

    /// The step's name; nil where a path is a path.
    static func step(in path: String) -> String? {
        path.hasPrefix(prefix) && path != prefix ? String(path.dropFirst(prefix.count)) : nil
    }
}

extension Path {
    /// A path that counts from a folder, empty for the current one; a ``StepReference`` stays what it is.
    static func counted(_ path: String, from folder: String) -> String {
        folder.isEmpty || path.hasPrefix("/") || StepReference.step(in: path) != nil
            ? path : join(folder, path)
    }
}
