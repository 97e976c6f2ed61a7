package wire

// DirFlag is what the worker's folder follows in its arguments.
const DirFlag = "--dir="

// ReadyWord is what a worker writes to its pipe.
const ReadyWord = "ready\n"
