/** The ffmpeg line that pushes a file as a stream, as the README prints it. */
import { server } from "../paths";

export function pushLine(origin: string, stream: string): string {
  return `ffmpeg -re -i FILE -c copy -f matroska -method POST ${origin}${server.media(stream)}`;
}
