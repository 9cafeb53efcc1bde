public import Formats

extension TokenizerFiles {
    /// Opens a tokenizer's files in a folder; those of a KerasHub preset in Hugging Face's terms.
    ///
    /// - Throws: ``TokenizerEditError`` when there is no tokenizer.json, or it is of a class that is not known.
    public static func open(_ folder: String) throws(TokenizerEditError) -> TokenizerFiles {
        var companions: [Companion] = []
        for name in names + KerasTokenizer.assetNames where Folder.kind(of: Path.join(folder, name)) == .file
        {
            do {
                let file = try SourceFile(path: Path.join(folder, name))
                companions.append(Companion(name: name, content: .file(file)))
            } catch {
                throw .file(error)
            }
        }
        guard companions.contains(where: { $0.name == "tokenizer.json" }) else {
            throw .noTokenizer(path: folder)
        }
        if let keras = try KerasTokenizer(of: companions, path: folder) {
            return try keras.huggingFace().files
        }
        return TokenizerFiles(of: companions, path: folder)
    }
}
