internal import Formats

/// Where a result goes when nobody says where.
public enum OutputPath {
    /// Beside the model, under its name and what was done: `models/base` becomes `models/base-dus-48`.
    ///
    /// A model that was named as on the hub, and lies in its cache, goes into the current folder.
    ///
    /// - Parameters:
    ///   - model: a folder or a file, as it was typed; `.` is the current folder.
    ///   - suffix: what was done.
    /// - Returns: the path from the root on.
    public static func beside(_ model: String, suffix: String) -> String {
        // What is in the hub's cache is nobody's place to write.
        if HubCache.isName(model) {
            let name = Path.name(model).split(separator: "@").first.map(String.init) ?? model
            return Path.absolute("\(name)-\(suffix)")
        }
        let path = Path.absolute(model)
        let ending = ".safetensors"
        let name =
            Path.name(path).hasSuffix(ending)
            ? String(Path.name(path).dropLast(ending.count)) : Path.name(path)
        return Path.join(Path.parent(path), "\(name)-\(suffix)")
    }
}
